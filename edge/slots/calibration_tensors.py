"""The tensors a site can change without rebuilding an engine: C, the norm's statistics, λ1, λ2, the mask.

They are inputs of the graph, bound once at load. Threshold and serial travel with them as one immutable object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import SlotError
from edge.graph_contract import GraphShape

Array = NDArray[np.float32]

POSITIVE = ("feature_scale", "reconstruction_scale")
ANY_BRIGHTNESS = (0.0, 255.0)
UNIT = (*POSITIVE, "group_weight", "feature_weight", "reconstruction_weight")


@dataclass(frozen=True, slots=True)
class CalibrationTensors:
    """All float32, by name, in the graph's order. Z has D channels in G groups on a grid of h×w; the map has H×W positions.

    brightness_range [2]: lowest and highest mean grey (0…255) of normal images; the graph brings a picture outside back to it.
    feature_mean [D, h, w], feature_scale [D]: z = (Z − mean)·scale, before the norm.
    centers_i [K, d]: for each group i with the norm "nearest", its C, in the scale of z.
    whitening_i [h'·w', d, d]: for each group i with the norm "mahalanobis" and own grid h'×w', A with AᵀA the inverse covariance.
    group_weight [G]: L1 is the sum of the groups' distances, so weighted.
    reconstruction_offset, reconstruction_scale [H, W]: L2's error map becomes (e − offset)·scale; identity by default.
    ignore_mask [H, W]: 1 where nothing is judged. feature_weight λ1 [1], reconstruction_weight λ2 [1] (eq. 5).
    """

    arrays: Mapping[str, Array]

    @classmethod
    def shapes(cls, shape: GraphShape) -> dict[str, tuple[int, ...]]:
        """Name → shape of every tensor for a graph of ``shape``."""
        grid = (shape.map_height, shape.map_width)
        shapes: dict[str, tuple[int, ...]] = {
            "brightness_range": (2,),
            "feature_mean": (shape.channels, shape.feature_height, shape.feature_width),
            "feature_scale": (shape.channels,),
            "group_weight": (len(shape.groups),),
        }
        for index, group in enumerate(shape.groups):
            if group.norm == "nearest":
                shapes[centers_name(index)] = (shape.centers, group.channels)
            if group.norm == "mahalanobis":
                height, width = shape.group_grid(group)
                shapes[whitening_name(index)] = (height * width, group.channels, group.channels)
        return shapes | {
            "reconstruction_offset": grid,
            "reconstruction_scale": grid,
            "ignore_mask": grid,
            "feature_weight": (1,),
            "reconstruction_weight": (1,),
        }

    @classmethod
    def neutral(cls, shape: GraphShape) -> CalibrationTensors:
        """Zero centres, unit scales and weights, nothing ignored, any brightness: the start from which calibration reads Z."""
        arrays = {name: np.full(size, float(name in UNIT), np.float32) for name, size in cls.shapes(shape).items()}
        arrays["brightness_range"][:] = ANY_BRIGHTNESS
        for index, group in enumerate(shape.groups):
            if group.norm == "mahalanobis":
                arrays[whitening_name(index)][:] = np.eye(group.channels)
        return cls(arrays)

    def check(self, shape: GraphShape, origin: str) -> None:
        """Raise SlotError unless every tensor is float32, of its shape, finite, and makes sense."""
        shapes = self.shapes(shape)
        if set(self.arrays) != set(shapes):
            raise SlotError(f"{origin}: expected the tensors {sorted(shapes)}, got {sorted(self.arrays)}; calibrate again")
        for name, expected in shapes.items():
            array = self.arrays[name]
            if array.dtype != np.float32 or array.shape != expected:
                raise SlotError(f"{origin}: {name} should be float32 {expected}, is {array.dtype} {array.shape}; calibrate again")
            if not np.isfinite(array).all():
                raise SlotError(f"{origin}: {name} holds a value that is not finite; calibrate again")
        weights = np.array([self["feature_weight"][0], self["reconstruction_weight"][0]])
        if (weights < 0).any() or weights.sum() <= 0:
            raise SlotError(f"{origin}: the weights λ1, λ2 must be ≥ 0 and not both 0; calibrate again")
        if (self["group_weight"] < 0).any() or self["group_weight"].sum() <= 0:
            raise SlotError(f"{origin}: the groups' weights must be ≥ 0 and not all 0; calibrate again")
        if any((self[name] <= 0).any() for name in POSITIVE):
            raise SlotError(f"{origin}: scales must be above 0; calibrate again")
        low, high = self["brightness_range"]
        if not 0 <= low <= high <= 255 or high == 0:
            raise SlotError(f"{origin}: brightness_range must rise within 0…255, is {low:.4g}…{high:.4g}; calibrate again")
        mask = self["ignore_mask"]
        if mask.min() < 0 or mask.max() > 1 or mask.all():
            raise SlotError(f"{origin}: ignore_mask must lie in 0…1 and leave something to judge; calibrate again")

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]

    def items(self) -> list[tuple[str, Array]]:
        """(name, tensor) in the graph's order."""
        return list(self.arrays.items())

    def replace(self, **arrays: Array) -> CalibrationTensors:
        """The same with other tensors of these names."""
        return CalibrationTensors({**self.arrays, **arrays})

    def with_ignore_mask(self, cells: Array) -> CalibrationTensors:
        """The same with another mask."""
        return self.replace(ignore_mask=cells)

    def with_group_weights(self, weights: list[float]) -> CalibrationTensors:
        """The same with other weights of the groups."""
        return self.replace(group_weight=np.array(weights, np.float32))

    def with_weights(self, feature_weight: float, reconstruction_weight: float) -> CalibrationTensors:
        """The same with other λ1, λ2."""
        return self.replace(
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
            tensors = cls({name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in cls.shapes(shape)})
        except (OSError, ValueError, EOFError, MemoryError, OverflowError) as error:  # a header may claim any size
            raise SlotError(f"{folder}: cannot read the calibration tensors ({error}); calibrate again") from error
        tensors.check(shape, str(folder))
        return tensors


def centers_name(group: int) -> str:
    """The tensor that holds the centres of this group."""
    return f"centers_{group}"


def whitening_name(group: int) -> str:
    """The tensor that holds the whitening matrices of this group."""
    return f"whitening_{group}"
