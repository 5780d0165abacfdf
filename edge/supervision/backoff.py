"""How long to wait before what was lost is tried again, a camera or a process: soon at first, then ever longer. Pure."""

from __future__ import annotations

from edge.line.reject_gate import NANOSECONDS_PER_MS

FIRST_MS = 250
LONGEST_MS = 15_000


class Backoff:
    """Waits double with each failure. What comes back and is lost again soon has failed again.

    steady_ms: how long it must last until the first wait is the first one again.
    """

    def __init__(self, first_ms: int = FIRST_MS, longest_ms: int = LONGEST_MS, steady_ms: int = 2 * LONGEST_MS) -> None:
        if not 0 < first_ms <= longest_ms:
            raise ValueError(f"expected 0 < first_ms ≤ longest_ms, got {first_ms} and {longest_ms}")
        self._first_ns, self._longest_ns = first_ms * NANOSECONDS_PER_MS, longest_ms * NANOSECONDS_PER_MS
        self._steady_ns = steady_ms * NANOSECONDS_PER_MS
        self._next_ns = self._first_ns
        self._back_ns: int | None = None

    def failed(self, now_ns: int) -> int:
        """It was lost, or could not be opened: how long to wait before the next attempt, nanoseconds."""
        if self._back_ns is not None and now_ns - self._back_ns >= self._steady_ns:
            self._next_ns = self._first_ns
        self._back_ns = None
        wait, self._next_ns = self._next_ns, min(2 * self._next_ns, self._longest_ns)
        return wait

    def opened(self, now_ns: int) -> None:
        """It is there."""
        if self._back_ns is None:
            self._back_ns = now_ns
