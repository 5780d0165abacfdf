"""The gate's state on a real line, kept true by a thread of its own even while the inspection hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from edge.clock import Clock
from edge.errors import LineError
from edge.gpio.base import OutputLine
from edge.line.real_time import prefer_this_thread
from edge.line.schedule_error import ScheduleError

RETRY_S = 0.05
CLOSE_S = 3.0
Result = TypeVar("Result")


class Gate(Protocol):
    """What the line must say, as time goes on: a RejectGate or a PartTracker."""

    def rejecting(self, now_ns: int) -> bool:
        """True while the line must say reject."""
        ...

    def next_change_ns(self, now_ns: int) -> int | None:
        """When something is due by itself; None while only a call can change anything."""
        ...

    def driven(self, rejecting: bool, at_ns: int) -> None:
        """The line says ``rejecting``, from ``at_ns`` on where that is new."""
        ...


class RejectLine:
    """Joins a gate and an OutputLine (True = reject). ``line`` may be None: then nothing is driven.

    The gate is used by one thread at a time: through ``change``, or by this object's own thread, which acts when something is due.
    After any failure to drive the line it only ever tries to drive reject, again and again until closed.
    ``schedule_error`` tells how late that thread acted. first: that thread comes before all others; ``comes_first`` says whether
    the system permits it.
    """

    def __init__(self, line: OutputLine | None, gate: Gate, clock: Clock, first: bool = False) -> None:
        self._line, self._gate, self._clock, self._first = line, gate, clock, first
        self.comes_first = False
        self.schedule_error = ScheduleError()
        self._changed = threading.Condition()
        self._failure: LineError | None = None
        self._stopping = False
        self._closed = False
        self._thread = threading.Thread(target=self._keep, name="reject line", daemon=True)
        self._thread.start()

    def change(self, act: Callable[[int], Result]) -> Result:
        """``act(now_ns)`` on the gate, then the line driven for it. Raises LineError when the line can no longer be trusted."""
        with self._changed:
            result = act(self._clock.monotonic_ns())
            self._drive()
            self._changed.notify_all()
            if self._failure is not None:
                raise self._failure
        return result

    def close(self) -> None:
        """Stop, with the line at reject, and give it back; may be called twice.

        Raises LineError if that failed, also where a driver blocks for longer than three seconds.
        """
        if self._closed:
            return
        self._closed = self._stopping = True
        if self._changed.acquire(timeout=CLOSE_S):
            self._changed.notify_all()
            self._changed.release()
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            raise LineError("the reject line's driver blocks; its level is unknown until the process ends: stop the line")
        if self._line is not None:
            self._line.close()

    def _drive(self) -> None:
        wanted = self._failure is not None or self._gate.rejecting(self._clock.monotonic_ns())
        if self._line is not None and (wanted != self._line.value or self._failure is not None):
            try:
                self._line.set(wanted)
            except Exception as error:  # whatever a driver throws, the line can no longer be trusted
                if self._failure is None:
                    self._failure = error if isinstance(error, LineError) else LineError(f"{self._line.name}: {error}")
        try:
            self._gate.driven(self._line.value if self._line is not None else wanted, self._clock.monotonic_ns())
        except Exception as error:  # who hears of parts that left may throw: this object's thread must not end of it
            if self._failure is None:
                self._failure = LineError(f"reject line: unexpected {type(error).__name__}: {error}")

    def _keep(self) -> None:
        self.comes_first = self._first and prefer_this_thread()
        with self._changed:
            while not self._stopping:
                now = self._clock.monotonic_ns()
                change = self._gate.next_change_ns(now)
                wait = RETRY_S if self._failure is not None else None if change is None else (change - now) / 1e9
                self._changed.wait(wait)
                due = change is not None and self._failure is None and self._clock.monotonic_ns() >= change
                self._drive()
                if due and change is not None:
                    self.schedule_error.add(self._clock.monotonic_ns() - change)
