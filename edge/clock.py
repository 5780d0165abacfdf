"""Time as something that is passed in, so that timing logic is tested without sleeping."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic time for deadlines, wall time for records. Unit: integer nanoseconds."""

    def monotonic_ns(self) -> int:
        """Nanoseconds on CLOCK_MONOTONIC, the clock the kernel stamps frames and edges with."""
        ...

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch; for records only, since it may step."""
        ...

    def wait(self, event: threading.Event, timeout_ns: int | None) -> bool:
        """Wait until ``event`` is set or ``timeout_ns`` has passed; True if it is set."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        return time.time_ns()

    def wait(self, event: threading.Event, timeout_ns: int | None) -> bool:
        return event.wait(None if timeout_ns is None else max(0, timeout_ns) / 1e9)


class ManualClock:
    """A clock that moves only when told; waiting moves it to the end of the wait at once."""

    def __init__(self, monotonic_ns: int = 0, wall_ns: int = 1_700_000_000_000_000_000) -> None:
        self._monotonic_ns = monotonic_ns
        self._wall_ns = wall_ns

    def monotonic_ns(self) -> int:
        return self._monotonic_ns

    def wall_ns(self) -> int:
        return self._wall_ns

    def advance_ms(self, milliseconds: float) -> None:
        """Move both clocks forward."""
        step = round(milliseconds * 1e6)
        self._monotonic_ns += step
        self._wall_ns += step

    def wait(self, event: threading.Event, timeout_ns: int | None) -> bool:
        if not event.is_set() and timeout_ns is not None:
            self.advance_ms(max(0, timeout_ns) / 1e6)
        return event.is_set()
