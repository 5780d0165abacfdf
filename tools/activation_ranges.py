"""Which values the tensors of a graph take on normal images, and where to clip them so that 8 bits lose least."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tools.convert_fp16 import PrecisionError

BINS = 8192
CANDIDATES = 256
MOST_VALUES = 1 << 18
"""Of a tensor that one picture adds; of more, every n-th is taken."""
ROUNDS = 4

Floats = NDArray[np.float64]


class Histogram:
    """Counts of values in BINS equal bins around 0. When a value lies outside, bins are joined by twos, so none is lost."""

    def __init__(self) -> None:
        self.half_width = 2.0**-20
        self.counts = np.zeros(BINS, np.int64)
        self.lowest, self.highest = 0.0, 0.0

    def add(self, values: NDArray[np.float32]) -> None:
        """Count ``values`` of any shape; raises PrecisionError where one is not finite."""
        flat = values.reshape(-1)
        if not np.isfinite(flat).all():  # no bin is wide enough for them
            raise PrecisionError("8 bits: a layer gives values that are not finite on normal images; use fp32, or train again")
        self.lowest, self.highest = min(self.lowest, float(flat.min())), max(self.highest, float(flat.max()))
        taken = flat[:: -(-len(flat) // MOST_VALUES) | 1].astype(np.float64)  # an odd step: rows are even
        while np.abs(taken).max() >= self.half_width:
            self._widen()
        taken = taken[taken != 0]
        places = np.floor((taken / self.half_width + 1) * (BINS // 2)).astype(np.intp)
        self.counts += np.bincount(places, minlength=BINS)

    def centers(self) -> Floats:
        """The middle of each bin."""
        return np.asarray((np.arange(BINS) + 0.5 - BINS // 2) * (2 * self.half_width / BINS), np.float64)

    def _widen(self) -> None:
        pairs = self.counts.reshape(-1, 2).sum(axis=1)
        self.counts = np.zeros(BINS, np.int64)
        self.counts[BINS // 4 : BINS // 4 + BINS // 2] = pairs
        self.half_width *= 2


def symmetric_range(histogram: Histogram, steps: int = 127) -> tuple[float, float]:
    """(−t, t) with the least mean squared error where −t…t has ``steps`` steps on either side of 0."""
    if not histogram.counts.any():
        return -1.0, 1.0
    magnitudes = np.abs(histogram.centers())
    order = np.argsort(magnitudes, kind="stable")
    error = _ErrorOf(magnitudes[order], histogram.counts[order])
    largest = max(-histogram.lowest, histogram.highest)
    tried = largest * np.arange(1, CANDIDATES + 1) / CANDIDATES
    best = float(tried[np.argmin([error.above(t) + error.rounding(t / steps, 0.0, t) for t in tried])])
    return -best, best


def asymmetric_range(histogram: Histogram, steps: int = 255) -> tuple[float, float]:
    """(low, high) around 0 with the least mean squared error where low…high has ``steps`` steps; 0 costs nothing, it is exact."""
    if not histogram.counts.any():
        return 0.0, 1.0
    centers = histogram.centers()
    below, above = centers < 0, centers > 0
    low_error = _ErrorOf(-centers[below][::-1], histogram.counts[below][::-1])
    high_error = _ErrorOf(centers[above], histogram.counts[above])
    low, high = histogram.lowest, histogram.highest
    lows = [histogram.lowest * i / CANDIDATES for i in range(CANDIDATES + 1)] if low < 0 else [0.0]
    highs = [histogram.highest * i / CANDIDATES for i in range(CANDIDATES + 1)] if high > 0 else [0.0]

    def loss(low: float, high: float) -> float:
        step = (high - low) / steps
        if step <= 0:
            return np.inf
        return (
            low_error.above(-low) + high_error.above(high) + low_error.rounding(step, 0, -low) + high_error.rounding(step, 0, high)
        )

    for _ in range(ROUNDS):
        before = low, high
        low = min(lows, key=lambda one: loss(one, high))
        high = min(highs, key=lambda one: loss(low, one))
        if (low, high) == before:
            break
    return low, high


class _ErrorOf:
    """Squared error of clipping and rounding magnitudes that are given by rising bin centres and counts."""

    def __init__(self, centers: Floats, counts: NDArray[np.int64]) -> None:
        self._centers = centers
        self._sums = [np.concatenate([[0.0], np.cumsum(counts * centers**power)]) for power in (0, 1, 2)]

    def above(self, limit: float) -> float:
        """Of what lies beyond ``limit`` and is cut to it: Σ (x − limit)²."""
        at = int(np.searchsorted(self._centers, limit, "right"))
        count, first, second = (float(sums[-1] - sums[at]) for sums in self._sums)
        return second - 2 * limit * first + limit * limit * count

    def rounding(self, step: float, low: float, high: float) -> float:
        """Of what lies in low…high and goes to the nearest multiple of ``step``: step²/12 each (Bennett 1948)."""
        first, last = np.searchsorted(self._centers, [low, high], "right")
        return float(self._sums[0][last] - self._sums[0][first]) * step * step / 12
