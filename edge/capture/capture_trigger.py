"""When a picture is taken."""

from __future__ import annotations

import os
import select
import threading
from typing import Protocol

from edge.clock import Clock

LOOK_FOR_STOP_S = 0.1


class CaptureTrigger(Protocol):
    """Says when the next picture is due. after_ns: it must be exposed after that, monotonic nanoseconds; 0 where any will do."""

    after_ns: int

    def wait(self, stop: threading.Event) -> bool:
        """Return True when a picture is due, False when there is nothing more to wait for or ``stop`` is set."""
        ...


class IntervalTrigger:
    """A picture every ``every_s`` seconds; what took longer is not made up for."""

    def __init__(self, every_s: float, clock: Clock) -> None:
        self._every_ns = round(every_s * 1e9)
        self._clock = clock
        self._due_ns = clock.monotonic_ns()
        self.after_ns = 0

    def wait(self, stop: threading.Event) -> bool:
        now = self._clock.monotonic_ns()
        stopped = self._clock.wait(stop, max(0, self._due_ns - now))
        self._due_ns = max(self._due_ns, now) + self._every_ns
        return not stopped


class KeyTrigger:
    """A picture for each Enter on ``descriptor`` (stdin); its end ends the session."""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._due = 0
        self.after_ns = 0

    def wait(self, stop: threading.Event) -> bool:
        while not self._due and not stop.is_set():
            if not select.select([self._descriptor], [], [], LOOK_FOR_STOP_S)[0]:
                continue
            typed = os.read(self._descriptor, 4096)
            if not typed:
                return False
            self._due += typed.count(b"\n")
        if stop.is_set():
            return False
        self._due -= 1
        return True
