"""A line that toggles while parts can be judged, and stands still when the program hangs, dies or is not beaten."""

from __future__ import annotations

import threading

from edge.clock import Clock
from edge.errors import LineError
from edge.gpio.base import OutputLine

CLOSE_S = 3.0


class Heartbeat:
    """When the line changes; pure, over monotonic nanoseconds.

    It changes every ``half_period_ns``, by absolute times, as long as the last beat is no older than ``patience_ns``.
    """

    def __init__(self, half_period_ns: int, patience_ns: int) -> None:
        self._half, self._patience = half_period_ns, patience_ns
        self._beaten: int | None = None
        self._due: int | None = None
        self.value = False

    def beat(self, now_ns: int) -> None:
        """A cycle was completed."""
        self._beaten = now_ns

    def step(self, now_ns: int) -> int:
        """Bring ``value`` up to ``now_ns``; returns when to come again."""
        if self._beaten is None or now_ns - self._beaten > self._patience:
            self.value, self._due = False, None
            return now_ns + self._half
        if self._due is None:
            self._due = now_ns
        if now_ns >= self._due:
            self.value = not self.value
            # What a late thread missed is not made up for: two changes at once would be none.
            self._due += self._half * ((now_ns - self._due) // self._half + 1)
        return self._due


class HeartbeatLine:
    """Drives ``line`` from a thread of its own; ``failure`` says why it no longer can, and then it stands still.

    period_ms: of the square wave. patience_ms: so long after ``beat`` it stands still; at least the longest cycle.
    """

    def __init__(self, line: OutputLine | None, period_ms: int, patience_ms: int, clock: Clock) -> None:
        self._line, self._clock = line, clock
        self._heartbeat = Heartbeat(period_ms * 500_000, patience_ms * 1_000_000)
        self.failure: LineError | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        if line is not None:
            self._thread.start()

    def beat(self) -> None:
        """A capture-to-verdict cycle, or an idle wait that returned in time, was completed; never blocks."""
        self._heartbeat.beat(self._clock.monotonic_ns())

    def close(self) -> None:
        """Stand still, at the safe value; may be called twice. Raises LineError if that failed."""
        self._stop.set()
        if self._line is None:
            return
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            raise LineError(f"{self._line.name}: its driver blocks; its level is unknown until the process ends")
        self._line.close()

    def _run(self) -> None:
        assert self._line is not None
        while not self._stop.is_set():
            now = self._clock.monotonic_ns()
            due = self._heartbeat.step(now)
            try:
                if self._line.value != self._heartbeat.value:
                    self._line.set(self._heartbeat.value)
            except Exception as error:  # whatever a driver throws: who watches the line sees that it stands still
                self.failure = error if isinstance(error, LineError) else LineError(f"{self._line.name}: {error}")
                return
            self._clock.wait(self._stop, due - now)
