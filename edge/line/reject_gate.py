"""When the reject line says reject. Pure logic over a clock: fail-safe, so that only a fresh PASS opens it.

The gate is closed (reject) from the start. A PASS opens it until ``pass_valid_ms`` after its part was seen; when nothing renews it,
it closes by itself, so that a hung camera, engine or process of thought never lets a part through. A REJECT or FAULT closes it at
once and keeps it closed for ``reject_pulse_ms`` at least, whatever comes in between.
"""

from __future__ import annotations

from edge.verdict import Outcome

NANOSECONDS_PER_MS = 1_000_000


class RejectGate:
    """State of one reject line. Times are monotonic nanoseconds, handed in."""

    def __init__(self, reject_pulse_ms: int, pass_valid_ms: int) -> None:
        self._pulse_ns = reject_pulse_ms * NANOSECONDS_PER_MS
        self._valid_ns = pass_valid_ms * NANOSECONDS_PER_MS
        self._held_until: int | None = None
        self._open_until: int | None = None

    def apply(self, outcome: Outcome, now_ns: int, since_ns: int) -> None:
        """Take the newest outcome, of a part seen at ``since_ns``: a PASS is as old as its picture."""
        if outcome is Outcome.PASS:
            self._open_until = since_ns + self._valid_ns
        else:
            self._open_until = None
            self._held_until = now_ns + self._pulse_ns

    def rejecting(self, now_ns: int) -> bool:
        """True while the line must say reject."""
        if self._held_until is not None and now_ns < self._held_until:
            return True
        return self._open_until is None or now_ns >= self._open_until

    def driven(self, rejecting: bool, at_ns: int) -> None:
        """Nothing to account for: without triggers there is no part whose window it could be."""

    def next_change_ns(self, now_ns: int) -> int | None:
        """When ``rejecting`` may change by itself; None while only a new outcome can change it."""
        times = [t for t in (self._held_until, self._open_until) if t is not None and t > now_ns]
        return min(times, default=None)
