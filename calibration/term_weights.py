"""λ1 and λ2 (eq. 5) from normal images."""

from __future__ import annotations

from typing import Literal

import numpy as np

from calibration.errors import TooFewImagesError
from edge.calibration_tensors import Array

WeightRule = Literal["spread", "mean"]
SMALLEST = 1e-6


def term_weights(feature_scores: Array, reconstruction_scores: Array, rule: WeightRule = "spread") -> tuple[float, float]:
    """(λ1, λ2) from L1 [n] and L2 [n] of the same normal images.

    mean: the reciprocals of the mean scores, the choice METHOD names. spread (default): the reciprocals of their standard
    deviations, which equals adding standardised scores up to a constant, so that neither drowns the other's alarm.
    """
    if len(feature_scores) < 2:
        raise TooFewImagesError(f"λ1 and λ2 need at least 2 images, there are {len(feature_scores)}; give more")
    weights = []
    for scores in (feature_scores, reconstruction_scores):
        values = np.asarray(scores, np.float64)
        size = float(values.mean()) if rule == "mean" else float(values.std(ddof=1))
        # Scores that do not vary at all carry no scale; a floor relative to their size keeps the weight finite.
        weights.append(1.0 / max(size, SMALLEST * max(1.0, float(np.abs(values).max()))))
    return weights[0], weights[1]
