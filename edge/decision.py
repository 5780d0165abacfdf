"""From scores to an outcome. Pure: no clock, no device, no state."""

from __future__ import annotations

import math

from edge.verdict import Outcome, Scores


def decide(scores: Scores, threshold: float) -> tuple[Outcome, str]:
    """(outcome, reason). A part is anomalous when L ≥ threshold; a figure that is not a number is a FAULT, never a PASS."""
    if not math.isfinite(threshold):
        return Outcome.FAULT, f"the threshold is {threshold}; calibrate again"
    if not scores.finite():
        return Outcome.FAULT, f"the engine gave a score that is not finite ({scores.score})"
    if scores.score >= threshold:
        return Outcome.REJECT, f"score {scores.score:.4g} is at or above the threshold {threshold:.4g}"
    return Outcome.PASS, ""
