"""The tensors a site can change without rebuilding an engine: C, the norm's statistics, λ1, λ2, the mask.

They are inputs of the graph, bound once at load. Threshold and serial travel with them as one immutable object.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import SlotError
from edge.graph_contract import GraphShape

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CalibrationTensors:
    """All float32. D channels in G groups, K centres, an h×w map.

    feature_mean [D], feature_scale [D]: z = (Z − mean)·scale, before the norm. centers [G, K, D/G]: C, in the scale of z.
    reconstruction_offset, reconstruction_scale [h, w]: L2's error map becomes (e − offset)·scale; identity by default.
    ignore_mask [h, w]: 1 where nothing is judged. feature_weight λ1 [1], reconstruction_weight λ2 [1] (eq. 5).
    """

    feature_mean: Array
    feature_scale: Array
    centers: Array
    reconstruction_offset: Array
    reconstruction_scale: Array
    ignore_mask: Array
    feature_weight: Array
    reconstruction_weight: Array

    @classmethod
    def shapes(cls, shape: GraphShape) -> dict[str, tuple[int, ...]]:
        """Name → shape of every tensor for a graph of ``shape``."""
        grid = (shape.map_height, shape.map_width)
        return {
            "feature_mean": (shape.channels,),
            "feature_scale": (shape.channels,),
            "centers": (shape.groups, shape.centers, shape.channels // shape.groups),
            "reconstruction_offset": grid,
            "reconstruction_scale": grid,
            "ignore_mask": grid,
            "feature_weight": (1,),
            "reconstruction_weight": (1,),
        }

    @classmethod
    def neutral(cls, shape: GraphShape) -> CalibrationTensors:
        """Zero centres, unit scales and weights, nothing ignored: the start from which calibration reads Z."""
        one = ("feature_scale", "reconstruction_scale", "feature_weight", "reconstruction_weight")
        return cls(**{n: np.full(s, float(n in one), np.float32) for n, s in cls.shapes(shape).items()})

    def check(self, shape: GraphShape, origin: str) -> None:
        """Raise SlotError unless every tensor is float32, of its shape, finite, and makes sense."""
        for name, expected in self.shapes(shape).items():
            array = getattr(self, name)
            if array.dtype != np.float32 or array.shape != expected:
                raise SlotError(f"{origin}: {name} should be float32 {expected}, is {array.dtype} {array.shape}; calibrate again")
            if not np.isfinite(array).all():
                raise SlotError(f"{origin}: {name} holds a value that is not finite; calibrate again")
        if (
            self.feature_weight[0] < 0
            or self.reconstruction_weight[0] < 0
            or self.feature_weight[0] + self.reconstruction_weight[0] <= 0
        ):
            raise SlotError(f"{origin}: the weights λ1, λ2 must be ≥ 0 and not both 0; calibrate again")
        if (self.feature_scale <= 0).any() or (self.reconstruction_scale <= 0).any():
            raise SlotError(f"{origin}: scales must be above 0; calibrate again")
        if self.ignore_mask.min() < 0 or self.ignore_mask.max() > 1 or self.ignore_mask.all():
            raise SlotError(f"{origin}: ignore_mask must lie in 0…1 and leave something to judge; calibrate again")

    def items(self) -> list[tuple[str, Array]]:
        """(name, tensor) in the graph's order."""
        return [(field.name, getattr(self, field.name)) for field in fields(self)]

    def with_ignore_mask(self, cells: Array) -> CalibrationTensors:
        """The same with another mask."""
        return replace(self, ignore_mask=cells)

    def with_weights(self, feature_weight: float, reconstruction_weight: float) -> CalibrationTensors:
        """The same with other λ1, λ2."""
        return replace(
            self,
            feature_weight=np.array([feature_weight], np.float32),
            reconstruction_weight=np.array([reconstruction_weight], np.float32),
        )

    def save(self, folder: Path) -> dict[str, str]:
        """Write one .npy a tensor into ``folder``; returns file name → sha256."""
        hashes = {}
        for name, array in self.items():
            path = folder / f"{name}.npy"
            np.save(path, np.ascontiguousarray(array), allow_pickle=False)
            hashes[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return hashes

    @classmethod
    def load(cls, folder: Path, shape: GraphShape) -> CalibrationTensors:
        """Read and check what ``save`` wrote; hashes are the caller's to verify. Raises SlotError."""
        try:
            tensors = cls(**{name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in cls.shapes(shape)})
        except (OSError, ValueError, EOFError) as error:
            raise SlotError(f"{folder}: cannot read the calibration tensors ({error}); calibrate again") from error
        tensors.check(shape, str(folder))
        return tensors
