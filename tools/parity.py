"""Does an exported model decide as the checkpoint does? Scores, maps and decisions on real images, for each precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.wider_precision import relative_differences

TOLERANCE = {"fp32": 1e-3, "fp16": 2e-2, "int8": 5e-2, "int8-cpu": 5e-2}
"""Largest difference of a score, relative to the largest of its kind. FP32 runtimes only sum in another order; the first FP16
model of a real run was off by 0.6 %, in a runtime that rounds less than TensorRT may; 8 bits by 2 to 4 %."""
MAP_FLOOR = {"fp32": 0.999, "fp16": 0.99, "int8": 0.9, "int8-cpu": 0.9}
"""Least correlation of an anomaly map. On normal images it is mostly noise, of which 8 bits change some; 0.92 to 0.98 was seen."""
RECONSTRUCTION_FLOOR = {"fp32": 0.999, "fp16": 0.99, "int8": 0.99, "int8-cpu": 0.99}
"""Least correlation of X̂. L2 is made up of features for the most part, so that a wrong X̂ hardly shows in a score."""
LARGEST_RECONSTRUCTION_ERROR = 0.02
"""Root mean square of the difference of two X̂ (0…1); a correlation does not see another scale."""
AUROC_LOSS = 0.003
OWN_QUANTILE = 0.95
"""A precision's own threshold: what rejects one in twenty of these good images by its own scores, as calibration would set it."""
FLIPPED_SHARE = 0.005


@dataclass(frozen=True)
class Scored:
    """What one model says of N pictures: L1, L2 and L (N×3), the anomaly maps (N×H×W), X̂ (N×h×w×3)."""

    scores: NDArray[np.float64]
    maps: NDArray[np.float64]
    reconstructions: NDArray[np.float64]


def compare(
    reference: Scored,
    exported: Scored,
    names: list[str],
    precision: str,
    own: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
) -> dict[str, Any]:
    """The parity report of ``precision``: plain values for the manifest. names: of the pictures, to list those that are ties.

    reference, exported: with the same calibration. Decisions are compared at the checkpoint's median, the hardest place to agree
    at, and at each one's own OWN_QUANTILE; there by the scores ``own`` (L of both, N each) where each has a C of its own.
    """
    tolerance = TOLERANCE[precision]
    difference = relative_differences(reference.scores, exported.scores)
    expected, got = reference.scores[:, 2], exported.scores[:, 2]
    median = float(np.median(expected))
    own_expected, own_got = own or (expected, got)
    limits = [np.quantile(one, OWN_QUANTILE) for one in (own_expected, own_got)]
    close = np.abs(expected - median) <= tolerance * np.abs(expected).max()
    close |= np.abs(own_expected - limits[0]) <= tolerance * np.abs(own_expected).max()
    correlations = [correlation(a, b) for a, b in zip(reference.maps, exported.maps, strict=True)]
    images = [correlation(a, b) for a, b in zip(reference.reconstructions, exported.reconstructions, strict=True)]
    errors = np.sqrt(((exported.reconstructions - reference.reconstructions) ** 2).reshape(len(names), -1).mean(axis=1))
    return {
        "largest_relative_difference": float(difference.max()),
        "mean_relative_difference": float(difference.mean()),
        "largest_score_difference": float(np.abs(got - expected).max()),
        "lowest_map_correlation": float(np.min(correlations)),
        "lowest_reconstruction_correlation": float(np.min(images)),
        "largest_reconstruction_error": float(errors.max()),
        "decision_flips": int(((expected >= median) != (got >= median)).sum()),
        "own_threshold_flips": int(((own_expected >= limits[0]) != (own_got >= limits[1])).sum()),
        "ties": [name for name, tie in zip(names, close, strict=True) if tie],
        "tolerance": tolerance,
        "precision": precision,
    }


def refusal(report: dict[str, Any], images: int) -> str:
    """Why a precision with this report is not to be used, in words; empty where it may be."""
    difference, tolerance, precision = report["largest_relative_difference"], report["tolerance"], report["precision"]
    maps, pictures, error = (
        report[name] for name in ("lowest_map_correlation", "lowest_reconstruction_correlation", "largest_reconstruction_error")
    )
    if not np.isfinite([difference, maps, pictures, error]).all():
        return "some scores, maps or reconstructions are not finite"
    if difference > tolerance:
        return f"scores differ from the checkpoint's by up to {difference:.2%}, allowed {tolerance:.2%}"
    if maps < MAP_FLOOR[precision]:
        return f"an anomaly map correlates with the checkpoint's by {maps:.4f} only, at least {MAP_FLOOR[precision]} is asked for"
    if pictures < RECONSTRUCTION_FLOOR[precision] or error > LARGEST_RECONSTRUCTION_ERROR:
        return (
            f"a reconstruction is not the checkpoint's: correlation {pictures:.4f}, asked for {RECONSTRUCTION_FLOOR[precision]} or "
            f"more; off by {error:.3f}, allowed {LARGEST_RECONSTRUCTION_ERROR}"
        )
    if "auroc" in report and report["reference_auroc"] - report["auroc"] > AUROC_LOSS:
        return f"AUROC falls from {report['reference_auroc']:.4f} to {report['auroc']:.4f}, allowed is a loss of {AUROC_LOSS}"
    # Of 8 bits the whole scale moves a little, which calibration takes up; nearest to the median that flips some.
    counted = ("own_threshold_flips",) if precision.startswith("int8") else ("decision_flips", "own_threshold_flips")
    flips, allowed = max(report[one] for one in counted), max(1, int(FLIPPED_SHARE * images))
    if flips > allowed:
        ties = ", ".join(report["ties"]) or "none"
        return f"{flips} of {images} decisions differ from the checkpoint's, allowed {allowed} (close to the threshold: {ties})"
    return ""


def correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Pearson's, of two maps; 1 where both are flat, 0 where one is."""
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / size if size else float(not a.any() and not b.any())
