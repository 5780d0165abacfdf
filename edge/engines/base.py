"""The contract of an engine: load once, bind the calibration once, infer one image at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edge import graph_contract
from edge.errors import EngineError
from edge.frame import Image
from edge.graph_contract import GraphShape
from edge.slots.calibration_tensors import Array, CalibrationTensors
from edge.verdict import Scores

Outputs = dict[str, Array]


@dataclass(frozen=True, slots=True)
class Inference:
    """Scores and the anomaly map, float32 map_height×map_width, of one image."""

    scores: Scores
    anomaly_map: Array


class Engine(ABC):
    """Public methods check shape, dtype and state; a backend implements only ``_bind_impl``, ``_run_impl``, ``_close_impl``.

    One thread uses an engine at a time.
    """

    def __init__(self, shape: GraphShape) -> None:
        self.shape = shape
        self.degraded = ""
        """What this engine stands in for and why, where it is not the one that was asked for."""
        self._bound = False
        self._closed = False

    @property
    @abstractmethod
    def runtime(self) -> str:
        """Name and version of the runtime and provider; part of a calibration slot's key."""

    def bind(self, tensors: CalibrationTensors) -> None:
        """Take the calibration; may be called again between two images. Raises SlotError on a wrong shape, the old one stays.

        When the backend fails, half of it may have been copied: then nothing is bound.
        """
        self._require_open()
        tensors.check(self.shape, "calibration")
        self._bound = False
        self._bind_impl(tensors)
        self._bound = True

    def unbind(self) -> None:
        """Forget the calibration; the engine is as it was when it was opened."""
        self._bound = False

    def infer(self, image: Image) -> Inference:
        """Score uint8 height×width×3 (BGR); raises EngineError. Figures may be NaN: the decision handles that."""
        outputs = self._run(image, graph_contract.INSPECTION_OUTPUTS)
        grid = (self.shape.map_height, self.shape.map_width)
        return Inference(_scores(outputs), outputs[graph_contract.ANOMALY_MAP].reshape(grid))

    def read_terms(self, image: Image) -> tuple[NDArray[np.float64], Scores]:
        """The terms of L, [G+1]: L1 of each group, not yet weighted, then L2; and the scores, all in one pass."""
        return self._terms(self._run(image, (*graph_contract.INSPECTION_OUTPUTS, graph_contract.GROUP_SCORES)))

    def read_feature(self, image: Image) -> tuple[Array, float]:
        """Z of one image, float32 channels×feature_height×feature_width, and its mean grey (0…1); calibration derives C from it."""
        outputs = self._run(image, (graph_contract.FEATURE, graph_contract.IMAGE_QUALITY))
        return self._feature(outputs), float(outputs[graph_contract.IMAGE_QUALITY].reshape(3)[0])

    def read_feature_and_terms(self, image: Image) -> tuple[Array, NDArray[np.float64], Scores]:
        """What ``read_feature`` and ``read_terms`` give, in one pass."""
        names = (*graph_contract.INSPECTION_OUTPUTS, graph_contract.GROUP_SCORES, graph_contract.FEATURE)
        outputs = self._run(image, names)
        return self._feature(outputs), *self._terms(outputs)

    def read_reconstruction(self, image: Image) -> Array:
        """X̂ for people to look at, float32 h×w×3 (BGR, 0…1)."""
        image_hat = self._run(image, (graph_contract.RECONSTRUCTION,))[graph_contract.RECONSTRUCTION]
        return np.asarray(image_hat[0].transpose(1, 2, 0))

    def close(self) -> None:
        """Give everything back; may be called twice."""
        if not self._closed:
            self._closed = True
            self._close_impl()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _run(self, image: Image, names: tuple[str, ...]) -> Outputs:
        self._require_open()
        if not self._bound:
            raise EngineError("the engine has no calibration; call bind() before the first image")
        expected = (self.shape.height, self.shape.width, 3)
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape != expected:
            came = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
            raise EngineError(f"the engine expects uint8 {expected}, got {came}; resize with edge.preprocess")
        return self._run_impl(np.ascontiguousarray(image)[None], names)

    def _feature(self, outputs: Outputs) -> Array:
        return outputs[graph_contract.FEATURE].reshape(self.shape.channels, self.shape.feature_height, self.shape.feature_width)

    def _terms(self, outputs: Outputs) -> tuple[NDArray[np.float64], Scores]:
        scores = _scores(outputs)
        groups = outputs[graph_contract.GROUP_SCORES].reshape(len(self.shape.groups))
        return np.array([*groups, scores.reconstruction_score], np.float64), scores

    def _require_open(self) -> None:
        if self._closed:
            raise EngineError("the engine is closed; open it again")

    @abstractmethod
    def _bind_impl(self, tensors: CalibrationTensors) -> None: ...

    @abstractmethod
    def _run_impl(self, image: Image, names: tuple[str, ...]) -> Outputs: ...

    @abstractmethod
    def _close_impl(self) -> None: ...


def _scores(outputs: Outputs) -> Scores:
    feature, reconstruction, score = (float(outputs[name].reshape(())) for name in graph_contract.SCORES)
    brightness, saturation, sharpness = (float(v) for v in outputs[graph_contract.IMAGE_QUALITY].reshape(3))
    map_mean = float(outputs[graph_contract.MAP_MEAN].reshape(()))
    return Scores(feature, reconstruction, score, map_mean, brightness, saturation, sharpness)
