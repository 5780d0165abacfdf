"""FP16 and 8-bit models of an exported graph, each judged against the checkpoint and by a calibration of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from calibration.center import derive_center, own_grid
from calibration.term_weights import WeightRule, weigh_terms
from edge.bundle import ReferenceImage
from edge.engines.base import Engine
from edge.engines.onnx_runtime import OnnxRuntimeEngine
from edge.frame import Image
from edge.graph_contract import GraphShape
from edge.pictures.usual_change import usual_change
from edge.slots.calibration_tensors import Array, CalibrationTensors
from tools.auroc import auroc
from tools.convert_fp16 import convert_fp16, half_layers
from tools.observe_layers import Observed
from tools.parity import TOLERANCE, Scored, compare, refusal
from tools.precision_search import find_model
from tools.quantize_int8 import SCHEMES, TENSORRT, observe_normal_images, quantisable_layers, quantise
from tools.start_calibration import StartCalibration

LOOKED_AT = 3
"""Pictures that say which layers hurt most: those that the model judged last is furthest off on."""


@dataclass
class PrecisionGate:
    """What every precision is made of and judged by.

    source: the FP32 model. pictures and their names: good ones, for the gate. reference: the checkpoint on them, by ``start``.
    learned: good ones that set C. seen: those that set the ranges of 8 bits. labelled: good and defective ones, or none.
    """

    source: Path
    shape: GraphShape
    start: StartCalibration
    references: list[ReferenceImage]
    names: list[str]
    pictures: list[Image]
    reference: Scored
    learned: list[Image]
    seen: list[Image]
    rule: WeightRule = "mean"
    by_hand: tuple[float, float] | None = None
    center: Array | None = None
    labelled: tuple[list[Image], list[Image]] | None = None
    _worst: list[int] = field(default_factory=list)
    _scores_of_fp32: list[NDArray[np.float64]] = field(default_factory=list)

    def write(self, precision: str, path: Path) -> dict[str, Any]:
        """Write that model to ``path`` and return its parity report; raises PrecisionError, and then leaves no file."""
        model = onnx.load(self.source)
        if precision == "fp16":
            return find_model(
                lambda kept: convert_fp16(model, kept), half_layers(model),
                lambda file: self._judge(precision, file), lambda file: self._error(precision, file), path,
            )  # fmt: skip
        scheme = SCHEMES[precision]
        return find_model(
            lambda kept: quantise(model, self._observed, scheme, kept), quantisable_layers(model, scheme),
            lambda file: self._judge(precision, file), lambda file: self._error(precision, file), path,
        )  # fmt: skip

    @cached_property
    def _observed(self) -> Observed:
        return observe_normal_images(onnx.load(self.source), self.seen, self.start.tensors)

    def _open(self, precision: str, path: Path) -> OnnxRuntimeEngine:
        return OnnxRuntimeEngine(path, self.shape, fused=precision != TENSORRT.precision)

    def _judge(self, precision: str, path: Path) -> tuple[dict[str, Any], str]:
        with self._open(precision, path) as engine:
            scored = engine_scores(engine, self.start.tensors, self.pictures)
            off = [
                one.disagreement(picture, engine, TOLERANCE[precision])
                for one, picture in zip(self.references, self.pictures, strict=False)
            ]
            expected, got = self._fp32_scores(), self._own_scores(engine)
        off_by = np.abs(scored.scores - self.reference.scores) / np.maximum(np.abs(self.reference.scores).max(axis=0), 1e-6)
        self._worst = [int(i) for i in np.argsort(-off_by.max(axis=1), kind="stable")[:LOOKED_AT]]
        report = compare(self.reference, scored, self.names, precision, (expected[0], got[0]))
        if self.labelled is not None:
            report |= {"reference_auroc": auroc(*expected[1:]), "auroc": auroc(*got[1:])}
        # What the device asks of every engine at its start, this one has to meet here.
        return report, refusal(report, len(self.pictures)) or next(filter(None, off), "")

    def _fp32_scores(self) -> list[NDArray[np.float64]]:
        if not self._scores_of_fp32:
            with self._open("fp32", self.source) as engine:
                self._scores_of_fp32 = self._own_scores(engine)
        return self._scores_of_fp32

    def _own_scores(self, engine: Engine) -> list[NDArray[np.float64]]:
        """L by a calibration that ``engine`` itself makes: of the gate's pictures, and of good and defective labelled ones."""
        engine.bind(self._own_calibration(engine))
        return [
            np.array([engine.infer(picture).scores.score for picture in pictures], np.float64)
            for pictures in (self.pictures, *(self.labelled or ([], [])))
        ]

    def _own_calibration(self, engine: Engine) -> CalibrationTensors:
        engine.bind(self.start.tensors)
        pictures = [*self.learned, *map(usual_change, self.learned)]
        grids = [own_grid(engine.read_feature(picture)[0], self.shape) for picture in pictures]
        features = [np.array([one[group] for one in grids], np.float16) for group in range(len(self.shape.groups))]
        tensors = derive_center(features, self.shape, center=self.center)
        tensors = tensors.replace(brightness_range=self.start.tensors["brightness_range"])
        engine.bind(tensors)
        terms = np.array([engine.read_terms(picture)[0] for picture in self.pictures])
        group_weights, *weights = weigh_terms(terms, self.start.reliability, self.rule)
        feature_weight, reconstruction_weight = self.by_hand or weights
        return tensors.with_group_weights(group_weights).with_weights(feature_weight, reconstruction_weight)

    def _error(self, precision: str, path: Path) -> float:
        """How far maps, scores and X̂ are off on the LOOKED_AT worst pictures, relative to how pictures differ."""
        with self._open(precision, path) as engine:
            scored = engine_scores(engine, self.start.tensors, [self.pictures[i] for i in self._worst])
        total = 0.0
        for kind in ("scores", "maps", "reconstructions"):
            expected, got = getattr(self.reference, kind)[self._worst], getattr(scored, kind)
            spread = float(getattr(self.reference, kind).var(axis=0).mean())
            total += float(((got - expected) ** 2).mean()) / max(spread, 1e-12)
        return total


def engine_scores(engine: Engine, tensors: CalibrationTensors, pictures: list[Image]) -> Scored:
    """``pictures`` by an exported model."""
    engine.bind(tensors)
    results = [engine.infer(picture) for picture in pictures]
    scores = [(s.feature_score, s.reconstruction_score, s.score) for s in (result.scores for result in results)]
    maps = np.array([result.anomaly_map for result in results], np.float64)
    return Scored(np.array(scores, np.float64), maps, np.array([engine.read_reconstruction(one) for one in pictures], np.float64))
