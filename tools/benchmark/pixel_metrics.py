"""How well an anomaly map shows where a defect is: AUROC over pixels, and PRO, the per-region overlap (Bergmann et al., 2021)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.slots.calibration_tensors import Array

PRO_LIMIT = 0.3
"""False-positive rate up to which PRO is integrated, as in the paper."""
Mask = NDArray[np.bool_]


class PixelScores:
    """The map values of all pixels of a set, kept as float32: normal ones, and defective ones with the size of their region."""

    def __init__(self) -> None:
        self._normal: list[Array] = []
        self._defective: list[Array] = []
        self._weights: list[Array] = []
        self._regions = 0

    def add(self, anomaly_map: Array, mask: Mask) -> None:
        """Take one image. anomaly_map: float32 h×w, upsampled bilinearly to ``mask``, H×W, True where defective.

        Both show the same area, whatever their sizes: preprocessing stretches the judged area to the square input.
        """
        height, width = mask.shape
        values = np.asarray(cv2.resize(anomaly_map, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        self._normal.append(values[~mask])
        count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
        inside = labels[mask]
        sizes = np.bincount(inside, minlength=count)
        self._defective.append(values[mask])
        self._weights.append((1.0 / sizes[inside]).astype(np.float32))
        self._regions += count - 1

    def figures(self) -> tuple[float, float]:
        """(pixel AUROC, PRO up to ``PRO_LIMIT``), both 1 at best; NaN where no pixel is defective or none is normal."""
        normal, defective = np.sort(_joined(self._normal)), _joined(self._defective)
        if not len(normal) or not len(defective):
            return float("nan"), float("nan")
        weights = _joined(self._weights).astype(np.float64) / self._regions
        same = np.full(len(defective), 1.0 / len(defective))
        return area_to(1.0, normal, defective, same), area_to(PRO_LIMIT, normal, defective, weights)


def area_to(limit: float, normal: Array, defective: Array, weights: NDArray[np.float64]) -> float:
    """Area under the curve of found weight over false-positive rate, from rate 0 to ``limit``, divided by ``limit``.

    normal: values, ascending. weights: of ``defective``, with sum 1; 1/(regions × size of the region) gives PRO, equal ones the
    AUROC. A defective pixel of value v is found from the rate P(normal > v) on, and fully at P(normal ≥ v): between the two,
    at ties, the curve is a straight line. So each pixel has an area of its own, and no threshold need be sampled.
    """
    first = 1.0 - np.searchsorted(normal, defective, "right") / len(normal)
    full = 1.0 - np.searchsorted(normal, defective, "left") / len(normal)
    ramp = np.maximum(full - first, np.finfo(np.float64).tiny)
    beyond = np.maximum(limit - full, 0.0)
    within = np.clip(limit - first, 0.0, ramp)
    return float((weights * (beyond + within * within / (2.0 * ramp))).sum() / limit)


def _joined(parts: list[Array]) -> Array:
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
