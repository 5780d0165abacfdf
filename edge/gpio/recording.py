"""A stand-in that drives nothing and remembers what it was told; chosen by name only, and announced."""

from __future__ import annotations

from collections import deque

from edge.clock import Clock
from edge.gpio.base import OutputLine

REMEMBERED = 10_000


class RecordingLine(OutputLine):
    """``changes`` holds (monotonic nanoseconds, value), the request itself first; the newest 10,000 are kept."""

    def __init__(self, name: str, safe: bool, clock: Clock) -> None:
        super().__init__(name, safe)
        self._clock = clock
        self.changes: deque[tuple[int, bool]] = deque([(clock.monotonic_ns(), safe)], REMEMBERED)
        self.released = False

    def _set_impl(self, value: bool) -> None:
        if value != self.changes[-1][1]:
            self.changes.append((self._clock.monotonic_ns(), value))

    def _close_impl(self) -> None:
        self.released = True
