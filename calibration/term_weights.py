"""λ1 and λ2 (eq. 5) from normal images."""

from __future__ import annotations

from typing import Literal

import numpy as np

from calibration.errors import TooFewImagesError
from edge.calibration_tensors import Array

WeightRule = Literal["spread", "mean", "bundle"]
"""bundle: keep the weights that training or a person chose."""
SMALLEST = 1e-6


def term_weights(feature_scores: Array, reconstruction_scores: Array, rule: WeightRule = "spread") -> tuple[float, float]:
    """(λ1, λ2) from L1 [n] and L2 [n] of the same normal images.

    mean: the reciprocals of the mean scores, the choice METHOD names. spread (default): the reciprocals of their standard
    deviations, which equals adding standardised scores up to a constant, so that neither drowns the other's alarm.
    """
    return reciprocal_size(feature_scores, rule), reciprocal_size(reconstruction_scores, rule)


def reciprocal_size(scores: Array, rule: WeightRule) -> float:
    """1/mean or 1/standard deviation of ``scores`` [n]; finite also where they do not vary. Raises TooFewImagesError."""
    if len(scores) < 2:
        raise TooFewImagesError(f"λ1 and λ2 need at least 2 images, there are {len(scores)}; give more")
    values = np.asarray(scores, np.float64)
    size = float(values.mean()) if rule == "mean" else float(values.std(ddof=1))
    # Scores that do not vary at all carry no scale; a floor relative to their size keeps the weight finite.
    return 1.0 / max(size, SMALLEST * max(1.0, float(np.abs(values).max())))
