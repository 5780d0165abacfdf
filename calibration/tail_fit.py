"""A rate beyond the images: the upper tail of the scores as a generalised Pareto distribution (Pickands 1975).

Above a high order statistic u of the scores, P(X > u + y) = ζ·(1 + ξ·y/σ)^(−1/ξ), with ζ the share above u. The quantile that a
rate p leaves above it is x = u + σ/ξ·((ζ/p)^ξ − 1). Its upper confidence limit is by profile likelihood (Coles, "An Introduction to
Statistical Modeling of Extreme Values", 2001, 4.3.3): the largest x of all (ζ, σ, ξ) whose likelihood is not rejected. A model, not
a proof: nothing in the images says that the tail goes on as it begins.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

MINIMUM_IMAGES = 50
"""Fewer leave too few in the tail to fit two parameters to."""
TAIL_SHARE = 0.2
SHAPES = np.linspace(-0.5, 1.0, 61) + 1e-9
"""ξ from a bounded tail, where likelihood is still regular, to one without a mean; never exactly 0, where the formula divides."""
SCALES = np.geomspace(0.2, 4.0, 100)
"""σ in mean excesses."""
WIDER = 4.0
"""Simulated limits were passed two to three times as often as the limit of large samples says; asking for so much rarer mends
it."""
SHARES = np.linspace(-4.0, 4.0, 81)
"""ζ in standard errors of k/n."""


def tail_limit(scores: NDArray[np.floating[Any]], rate: float, confidence: float) -> float:
    """The upper confidence limit of the quantile of ``scores`` [n ≥ 50] that ``rate`` of them exceed; never below the highest."""
    values = np.sort(np.asarray(scores, np.float64))
    images, count = len(values), round(TAIL_SHARE * len(values))
    floor, excess = float(values[-count - 1]), values[-count:] - values[-count - 1]
    unit = float(excess.mean())
    if unit <= 0:  # all of the tail is one value
        return float(values[-1])
    tail = _tail_likelihood(excess / unit)
    shares = count / images * (1.0 + SHARES * np.sqrt((1.0 - count / images) / count))
    shares = shares[(shares > rate) & (shares < 1)]
    share = count * np.log(shares) + (images - count) * np.log1p(-shares)
    lowest = float(tail.max() + share.max()) - 0.5 * NormalDist().inv_cdf(1.0 - (1.0 - confidence) / WIDER) ** 2
    largest = 0.0
    for value, likelihood in zip(shares, share, strict=True):
        reach = np.expm1(SHAPES * np.log(value / rate)) / SHAPES
        quantiles = np.where(tail + likelihood >= lowest, reach[:, None] * SCALES[None], 0.0)
        largest = max(largest, float(quantiles.max()))
    return max(floor + unit * largest, float(values[-1]))


def _tail_likelihood(excess: Values) -> Values:
    """log-likelihood of ``excess`` for each (ξ, σ) of the grid; −∞ where an excess lies beyond the tail's end."""
    inside = 1.0 + (SHAPES[:, None] / SCALES[None])[..., None] * excess
    possible = np.asarray((inside > 0).all(axis=-1))
    logs: Values = np.log(np.where(possible[..., None], inside, 1.0)).sum(axis=-1)
    likelihood = -len(excess) * np.log(SCALES)[None] - (1.0 + 1.0 / SHAPES)[:, None] * logs
    return np.where(possible, likelihood, -np.inf)
