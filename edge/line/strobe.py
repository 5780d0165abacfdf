"""The light of a picture: on ahead of the exposure, off in time, by absolute deadlines."""

from __future__ import annotations

import threading
from collections import deque

from edge.clock import Clock
from edge.errors import LineError
from edge.gpio.base import OutputLine

CAPACITY = 64
CLOSE_S = 3.0
RETRY_S = 0.05


class StrobeSchedule:
    """When the light is on; pure, over monotonic nanoseconds. Flashes that overlap are one long one."""

    def __init__(self, lead_ns: int, duration_ns: int) -> None:
        self._lead, self._duration = lead_ns, duration_ns
        self._flashes: deque[tuple[int, int]] = deque()

    def add(self, exposure_ns: int, now_ns: int) -> int:
        """A picture is exposed from ``exposure_ns`` on; returns how late the light comes, 0 where it does not.

        One that is late lasts as long. Raises ValueError for times that go back, and with 64 waiting.
        """
        self._forget(now_ns)
        begin = max(exposure_ns - self._lead, now_ns)
        if self._flashes and begin < self._flashes[-1][0]:
            raise ValueError("pictures must be asked for in the order of their exposure")
        if len(self._flashes) >= CAPACITY:
            raise ValueError(f"more than {CAPACITY} pictures wait for their light")
        self._flashes.append((begin, begin + self._duration))
        return begin - (exposure_ns - self._lead)

    def on(self, now_ns: int) -> bool:
        """Whether the light is on."""
        return any(begin <= now_ns < end for begin, end in self._flashes)

    def next_change_ns(self, now_ns: int) -> int | None:
        """When ``on`` may change; None while no picture waits."""
        self._forget(now_ns)
        return min((time for flash in self._flashes for time in flash if time > now_ns), default=None)

    def _forget(self, now_ns: int) -> None:
        while self._flashes and self._flashes[0][1] <= now_ns:
            self._flashes.popleft()


class Strobe:
    """Drives ``line`` (True = light on) from a thread of its own. ``late`` counts flashes that came after their lead.

    A light that cannot be switched gives dark pictures, which are FAULTs; ``failure`` says why. After a failure it is only ever
    switched off.
    """

    def __init__(self, line: OutputLine | None, lead_ms: float, duration_ms: float, clock: Clock) -> None:
        self._line, self._clock = line, clock
        self._schedule = StrobeSchedule(round(lead_ms * 1e6), round(duration_ms * 1e6))
        self._changed = threading.Condition()
        self._stopping = False
        self.late = 0
        self.failure: LineError | None = None
        self._thread = threading.Thread(target=self._keep, name="strobe", daemon=True)
        if line is not None:
            self._thread.start()

    def fire(self, exposure_ns: int) -> None:
        """Light for a picture exposed from ``exposure_ns`` on, monotonic; with no lead left it goes on at once.

        Raises LineError where the light cannot be given.
        """
        if self._line is None:
            return
        with self._changed:
            if self.failure is not None:
                raise self.failure
            try:
                self.late += self._schedule.add(exposure_ns, self._clock.monotonic_ns()) > 0
            except ValueError as error:
                raise LineError(f"{self._line.name}: {error}") from error
            self._drive()
            self._changed.notify_all()

    def close(self) -> None:
        """Light off, the line given back; may be called twice. Raises LineError if that failed."""
        if self._line is None:
            return
        if self._changed.acquire(timeout=CLOSE_S):
            self._stopping = True
            self._changed.notify_all()
            self._changed.release()
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            raise LineError(f"{self._line.name}: its driver blocks; the light may stay on: switch it off")
        self._line.close()

    def _drive(self) -> None:
        assert self._line is not None
        value = self.failure is None and self._schedule.on(self._clock.monotonic_ns())
        if value == self._line.value and self.failure is None:
            return
        try:
            self._line.set(value)
        except Exception as error:  # whatever a driver throws
            if self.failure is None:
                self.failure = error if isinstance(error, LineError) else LineError(f"{self._line.name}: {error}")

    def _keep(self) -> None:
        with self._changed:
            while not self._stopping:
                now = self._clock.monotonic_ns()
                change = self._schedule.next_change_ns(now)
                self._changed.wait(RETRY_S if self.failure is not None else None if change is None else (change - now) / 1e9)
                self._drive()
