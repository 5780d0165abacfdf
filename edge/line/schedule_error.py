"""How late a thread acts on its deadlines: a histogram of fixed size, whatever the number of deadlines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EDGES_US = np.unique(np.round(np.logspace(0, 6, 241), 3))
"""Microseconds, 40 to a decade from 1 µs to 1 s: a quantile is right to 6 %."""


class ScheduleError:
    """Counts of how late; one thread adds, any may read."""

    def __init__(self) -> None:
        self._counts: NDArray[np.int64] = np.zeros(len(EDGES_US) + 1, np.int64)
        self.worst_ns = 0

    def add(self, late_ns: int) -> None:
        """One deadline, met ``late_ns`` after it was due."""
        self._counts[int(np.searchsorted(EDGES_US, late_ns / 1e3))] += 1
        self.worst_ns = max(self.worst_ns, late_ns)

    def __len__(self) -> int:
        """Deadlines counted."""
        return int(self._counts.sum())

    def quantile_ns(self, share: float) -> int:
        """At most this late in ``share`` of the deadlines, rounded up to the bin's edge; 0 where there were none."""
        total = len(self)
        if total == 0:
            return 0
        bin_ = int(np.searchsorted(np.cumsum(self._counts), np.ceil(share * total)))
        return min(self.worst_ns, round(EDGES_US[bin_] * 1e3)) if bin_ < len(EDGES_US) else self.worst_ns

    def describe(self) -> str:
        """In words, for the end of a run."""
        figures = ", ".join(f"p{100 * share:g} {self.quantile_ns(share) / 1e6:.2f}" for share in (0.5, 0.99, 0.999))
        return f"{len(self)} line changes by the clock, late by {figures}, at most {self.worst_ns / 1e6:.2f} ms"
