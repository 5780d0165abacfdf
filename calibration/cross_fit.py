"""Scores of images by statistics they did not enter, where there are too few images to give each job its own.

Each fold is scored by weights, and where C is the site's by a C, that come from the other folds (cross-conformal prediction, Vovk
2015; CV+, Barber et al. 2021). What is then known of n scores is nearly, not exactly, what a split says: the scores of two folds
share most of their statistics, so the promise is approximate. A fold's C comes from fewer images than the final one, which
makes its distances, and so the threshold, a little too high rather than too low.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.term_weights import WeightRule, weigh_terms

Terms = NDArray[np.floating[Any]]
"""[n, G+1]: L1 of each group, not weighted, then L2."""


@dataclass(frozen=True)
class FoldTerms:
    """One fold: the terms of the images it holds, at these indices, and of those outside that set its weights.

    Both are by the fold's own C, of which none of them is a part.
    """

    held: list[int]
    held_terms: Terms
    outside_terms: Terms


@dataclass(frozen=True)
class CrossFit:
    """terms [n, G+1] of every image, by the C of its fold. scores float32 [n], on the scale of the final ``weights``."""

    weights: tuple[list[float], float, float]
    terms: Terms
    scores: NDArray[np.float32]


def cross_fit(folds: list[FoldTerms], reliability: list[float], rule: WeightRule, fixed: NDArray[np.float64]) -> CrossFit:
    """The final weights, from all images, and each image's score by the weights of its fold. fixed: the weights of rule "bundle".

    A fold's weights have a scale of their own, since they are standardised by its own images. Its scores are brought to
    the final scale by the line that gives the images outside the same mean and spread under both weights. Only what the two
    weights say differently is then left, and no image has a part in the weights, or the line, that score it.
    """
    images = sum(len(fold.held) for fold in folds)
    terms = np.empty((images, folds[0].held_terms.shape[1]))
    for fold in folds:
        terms[fold.held] = fold.held_terms
    if rule == "bundle":
        groups = [float(one) for one in fixed[:-1]]
        return CrossFit((groups, 1.0, float(fixed[-1])), terms, (terms @ fixed).astype(np.float32))
    weights = weigh_terms(terms, reliability, rule)
    final = joint(*weights)
    scores = np.empty(images)
    for fold in folds:
        own = joint(*weigh_terms(fold.outside_terms, reliability, rule))
        offset, scale = _line(fold.outside_terms @ own, fold.outside_terms @ final)
        scores[fold.held] = offset + scale * (fold.held_terms @ own)
    return CrossFit(weights, terms, scores.astype(np.float32))


def joint(group_weights: list[float], feature_weight: float, reconstruction_weight: float) -> NDArray[np.float64]:
    """[G+1]: what each term is multiplied with in L (eq. 5)."""
    return np.array([*(feature_weight * one for one in group_weights), reconstruction_weight])


def _line(source: NDArray[np.float64], target: NDArray[np.float64]) -> tuple[float, float]:
    spread = float(source.std())
    scale = float(target.std()) / spread if spread > 0 else 1.0
    return float(target.mean()) - scale * float(source.mean()), scale
