"""Bootstrap intervals of AUROCs and of their differences, every figure of a set from the same resampled images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tools.auroc import auroc

DRAWS = 2000
CONFIDENCE = 0.95
Counts = NDArray[np.float64]
"""draws × images: how often each image is in each draw."""


@dataclass(frozen=True)
class Estimate:
    """A figure and what it is in each draw [draws]; NaN where it is not defined. Differences stay paired."""

    value: float
    draws: NDArray[np.float64]

    def __sub__(self, other: Estimate) -> Estimate:
        return Estimate(self.value - other.value, self.draws - other.draws)

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """Percentile interval (Efron 1979); NaNs where no draw is defined."""
        defined = self.draws[~np.isnan(self.draws)]
        if not len(defined):
            return float("nan"), float("nan")
        low, high = np.quantile(defined, ((1 - confidence) / 2, (1 + confidence) / 2))
        return float(low), float(high)


def mean_of(estimates: Sequence[Estimate]) -> Estimate:
    """The mean of figures, draw by draw; at least one."""
    return Estimate(float(np.mean([one.value for one in estimates])), np.asarray(np.mean([one.draws for one in estimates], axis=0)))


@dataclass(frozen=True)
class Resample:
    """good: draws × good images. anomalous: draws × anomalous images."""

    good: Counts
    anomalous: Counts


def resample(bases: ArrayLike, strata: Sequence[str], good: int, seed: int, draws: int = DRAWS) -> Resample:
    """Draw images with replacement, ``draws`` times.

    bases [anomalous images]: which of the ``good`` images an anomaly was made from, −1 for a real one. A synthetic anomaly goes
    with its base, as they are not independent; real ones are drawn within their stratum, such as a kind.
    """
    base = np.asarray(bases, int)
    random = np.random.default_rng(seed)
    of_good = random.multinomial(good, np.full(good, 1 / good), size=draws).astype(np.float64)
    of_anomalous = np.zeros((draws, len(base)))
    made = base >= 0
    of_anomalous[:, made] = of_good[:, base[made]]
    names = np.asarray(strata)
    for stratum in sorted(set(strata)):
        real = np.flatnonzero(~made & (names == stratum))
        if len(real):
            of_anomalous[:, real] = random.multinomial(len(real), np.full(len(real), 1 / len(real)), size=draws)
    return Resample(of_good, of_anomalous)


def estimate_auroc(normal: ArrayLike, anomalous: ArrayLike, drawn: Resample, chosen: NDArray[np.bool_]) -> Estimate:
    """AUROC of the ``chosen`` anomalous images against the normal ones; equal scores count half.

    normal [n], anomalous [m] scores; chosen bool [m]. Each draw weights every pair by how often both images are in it.
    """
    low, high = np.asarray(normal, np.float64), np.asarray(anomalous, np.float64)[chosen]
    wins = (high[:, None] > low[None]) + 0.5 * (high[:, None] == low[None])
    counts = drawn.anomalous[:, chosen]
    total = counts.sum(axis=1) * drawn.good.sum(axis=1)
    won = np.einsum("bn,bn->b", counts @ wins, drawn.good)
    draws = np.divide(won, total, out=np.full(len(total), np.nan), where=total > 0)
    return Estimate(auroc(low, high), draws)
