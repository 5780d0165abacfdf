"""The gate's state on a real line, kept true by a thread of its own even while the inspection hangs."""

from __future__ import annotations

import threading

from edge.clock import Clock
from edge.errors import LineError
from edge.gpio.base import OutputLine
from edge.reject_gate import RejectGate
from edge.verdict import Outcome


class RejectLine:
    """Joins a RejectGate and an OutputLine (True = reject). ``line`` may be None: then nothing is driven."""

    def __init__(self, line: OutputLine | None, gate: RejectGate, clock: Clock) -> None:
        self._line, self._gate, self._clock = line, gate, clock
        self._changed = threading.Condition()
        self._failure: LineError | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._keep, name="reject line", daemon=True)
        self._thread.start()

    def apply(self, outcome: Outcome) -> None:
        """Drive the line for ``outcome``, now. Raises LineError when the line can no longer be driven."""
        with self._changed:
            if self._failure is not None:
                raise self._failure
            self._gate.apply(outcome, self._clock.monotonic_ns())
            self._drive()
            self._changed.notify_all()

    def close(self) -> None:
        """Stop, with the line at reject, and give it back; may be called twice."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()
        if self._line is not None:
            self._line.close()

    def _drive(self) -> None:
        if self._line is not None:
            value = self._gate.rejecting(self._clock.monotonic_ns())
            if value != self._line.value:
                self._line.set(value)

    def _keep(self) -> None:
        with self._changed:
            while not self._stopping:
                now = self._clock.monotonic_ns()
                change = self._gate.next_change_ns(now)
                self._changed.wait(None if change is None else (change - now) / 1e9)
                try:
                    self._drive()
                except LineError as error:
                    self._failure = error
                    return
