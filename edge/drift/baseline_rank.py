"""Where a figure of a part lies among those of the good images: a number in −1…1 that no outlier can stretch."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

LEAST_SPREAD = 1e-6
"""Relative to the figure's size. Below it the good images did not vary, and there is no scale to tell a change by."""


class BaselineRank:
    """u = F(x − r) + F(x + r) − 1, with F the distribution of the good images by its quantiles and r the ``resolution``.

    Mean 0 and variance 1/3 for parts like the good images, whatever their distribution: also with ties, since F is taken from the
    left below and from the right above, and for any r, since P(X − Y ≤ r) + P(X − Y < −r) is 1; 21 quantiles place ties within a
    twentieth. A change below r counts little.
    """

    def __init__(self, quantiles: Sequence[float], resolution: float = 0.0) -> None:
        """quantiles: ascending, equally spaced from the lowest (0) to the highest (1), at least two."""
        self._quantiles, self._resolution = tuple(quantiles), resolution
        lowest, highest = self._quantiles[0], self._quantiles[-1]
        self.varies = resolution > 0 or highest - lowest > LEAST_SPREAD * max(abs(lowest), abs(highest))

    @property
    def median(self) -> float:
        """Of the good images."""
        return self._quantiles[len(self._quantiles) // 2]

    def rank(self, value: float) -> float:
        """u in −1…1; 0 for a value that is not finite, which says nothing."""
        if not math.isfinite(value):
            return 0.0
        low, high = value - self._resolution, value + self._resolution
        rank = self._share(low, bisect_left(self._quantiles, low)) + self._share(high, bisect_right(self._quantiles, high)) - 1.0
        return min(1.0, max(-1.0, rank)) if math.isfinite(rank) else 0.0

    def _share(self, value: float, above: int) -> float:
        """The share of good images below ``value``, which lies between the quantiles ``above`` − 1 and ``above``."""
        last = len(self._quantiles) - 1
        if above == 0:
            return 0.0
        if above > last:
            return 1.0
        lower, upper = self._quantiles[above - 1], self._quantiles[above]
        return (above - 1 + (value - lower) / (upper - lower)) / last
