"""Does an exported model decide as the checkpoint does? Scores, maps and decisions on real images, for each precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOLERANCE = {"fp32": 1e-3, "fp16": 2e-2}
"""Largest difference of a score, relative to the largest of its kind. FP32 runtimes only sum in another order; the first FP16
model of a real run was off by 0.6 %, in a runtime that rounds less than TensorRT may."""
OWN_QUANTILE = 0.95
"""A precision's own threshold: what rejects one in twenty of these good images by its own scores, as calibration would set it."""
FLIPPED_SHARE = 0.005


@dataclass(frozen=True)
class Scored:
    """What one model says of N pictures: L1, L2 and L (N×3), the anomaly maps (N×H×W)."""

    scores: NDArray[np.float64]
    maps: NDArray[np.float64]


def compare(reference: Scored, exported: Scored, names: list[str], tolerance: float) -> dict[str, Any]:
    """The parity report of one precision: plain values for the manifest. names: of the pictures, to list those that are ties.

    Decisions are compared at the checkpoint's median, the hardest place to agree at, and at each one's own OWN_QUANTILE.
    """
    # Relative to the largest score of its kind: an image that is a centre itself has the distance 0, and only rounding is left.
    largest = np.maximum(np.abs(reference.scores).max(axis=0), 1e-6)
    difference = np.abs(exported.scores - reference.scores) / largest
    expected, got = reference.scores[:, 2], exported.scores[:, 2]
    median = float(np.median(expected))
    own = [np.quantile(one, OWN_QUANTILE) for one in (expected, got)]
    close = np.abs(expected - median) <= tolerance * largest[2]
    correlations = [correlation(a, b) for a, b in zip(reference.maps, exported.maps, strict=True)]
    return {
        "largest_relative_difference": float(difference.max()),
        "mean_relative_difference": float(difference.mean()),
        "largest_score_difference": float(np.abs(got - expected).max()),
        "lowest_map_correlation": float(np.min(correlations)),
        "decision_flips": int(((expected >= median) != (got >= median)).sum()),
        "own_threshold_flips": int(((expected >= own[0]) != (got >= own[1])).sum()),
        "ties": [name for name, tie in zip(names, close, strict=True) if tie],
        "tolerance": tolerance,
    }


def refusal(report: dict[str, Any], images: int) -> str:
    """Why a precision with this report is not to be used, in words; empty where it may be."""
    difference, tolerance = report["largest_relative_difference"], report["tolerance"]
    if not np.isfinite([difference, report["lowest_map_correlation"]]).all():
        return "some scores or maps are not finite"
    if difference > tolerance:
        return f"scores differ from the checkpoint's by up to {difference:.2%}, allowed {tolerance:.2%}"
    flips, allowed = max(report["decision_flips"], report["own_threshold_flips"]), max(1, int(FLIPPED_SHARE * images))
    if flips > allowed:
        ties = ", ".join(report["ties"]) or "none"
        return f"{flips} of {images} decisions differ from the checkpoint's, allowed {allowed} (close to the threshold: {ties})"
    return ""


def correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Pearson's, of two maps; 1 where both are flat, 0 where one is."""
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / size if size else float(not a.any() and not b.any())
