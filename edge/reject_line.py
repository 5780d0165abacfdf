"""The gate's state on a real line, kept true by a thread of its own even while the inspection hangs."""

from __future__ import annotations

import threading

from edge.clock import Clock
from edge.errors import LineError
from edge.gpio.base import OutputLine
from edge.reject_gate import RejectGate
from edge.verdict import Outcome

RETRY_S = 0.05
CLOSE_S = 3.0


class RejectLine:
    """Joins a RejectGate and an OutputLine (True = reject). ``line`` may be None: then nothing is driven.

    After any failure to drive the line it only ever tries to drive reject, again and again until closed.
    """

    def __init__(self, line: OutputLine | None, gate: RejectGate, clock: Clock) -> None:
        self._line, self._gate, self._clock = line, gate, clock
        self._changed = threading.Condition()
        self._failure: LineError | None = None
        self._stopping = False
        self._closed = False
        self._thread = threading.Thread(target=self._keep, name="reject line", daemon=True)
        self._thread.start()

    def apply(self, outcome: Outcome, since_ns: int | None = None) -> None:
        """Drive the line for ``outcome``, now. Raises LineError when the line can no longer be trusted.

        since_ns: when the part was seen; a PASS is valid from then on, not from when it was decided. Default: now.
        """
        with self._changed:
            now = self._clock.monotonic_ns()
            self._gate.apply(outcome, now, now if since_ns is None else since_ns)
            self._drive()
            self._changed.notify_all()
            if self._failure is not None:
                raise self._failure

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
        if self._line is None:
            return
        value = self._failure is not None or self._gate.rejecting(self._clock.monotonic_ns())
        if value == self._line.value and self._failure is None:
            return
        try:
            self._line.set(value)
        except Exception as error:  # whatever a driver throws, the line can no longer be trusted
            if self._failure is None:
                self._failure = error if isinstance(error, LineError) else LineError(f"{self._line.name}: {error}")

    def _keep(self) -> None:
        with self._changed:
            while not self._stopping:
                now = self._clock.monotonic_ns()
                change = self._gate.next_change_ns(now)
                wait = RETRY_S if self._failure is not None else None if change is None else (change - now) / 1e9
                self._changed.wait(wait)
                self._drive()
