"""λ1 and λ2 (eq. 5) from normal images."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from calibration.errors import TooFewImagesError

WeightRule = Literal["spread", "mean", "bundle"]
"""bundle: keep the weights that training or a person chose."""
SMALLEST = 1e-6


def weigh_terms(
    terms: NDArray[np.floating[Any]], reliability: list[float], rule: WeightRule = "spread"
) -> tuple[list[float], float, float]:
    """(weight of each group of L1, λ1, λ2) from the terms [n, G+1] (L1 of each group, then L2) of the same normal images.

    mean: λ1 and λ2 are the reciprocals of the mean L1 and L2, the choice METHOD names. spread (default): the reciprocals of the
    standard deviations, which equals adding standardised terms up to a constant, each times its ``reliability`` (G+1).
    Raises TooFewImagesError.
    """
    values = np.asarray(terms, np.float64)
    sizes = [reciprocal_size(values[:, index], rule) for index in range(values.shape[1])]
    trust = np.ones(len(sizes)) if rule == "mean" else np.asarray(reliability, np.float64)
    groups = len(sizes) - 1
    if groups == 1:
        return [1.0], float(sizes[0] * trust[0]), float(sizes[1] * trust[1])
    weights = np.asarray(sizes[:-1]) * trust[:-1] / trust[:-1].sum()
    feature_weight = reciprocal_size(values[:, :-1] @ weights, rule) if rule == "mean" else float(trust[:-1].sum())
    return [float(one) for one in weights], feature_weight, float(sizes[-1] * trust[-1])


def reciprocal_size(scores: NDArray[np.floating[Any]], rule: WeightRule) -> float:
    """1/mean or 1/standard deviation of ``scores`` [n]; finite also where they do not vary. Raises TooFewImagesError."""
    if len(scores) < 2:
        raise TooFewImagesError(f"λ1 and λ2 need at least 2 images, there are {len(scores)}; give more")
    values = np.asarray(scores, np.float64)
    size = float(values.mean()) if rule == "mean" else float(values.std(ddof=1))
    # Scores that do not vary at all carry no scale; a floor relative to their size keeps the weight finite.
    return 1.0 / max(size, SMALLEST * max(1.0, float(np.abs(values).max())))
