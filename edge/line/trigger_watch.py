"""Hands what the trigger sees to the tracker, and each part to whoever takes its picture."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from edge.errors import LineError
from edge.line.part_line import TrackedLine
from edge.line.part_tracker import Part, Refusal
from edge.triggers.base import Trigger, TriggerEvent

WAIT_S = 0.1
CLOSE_S = 3.0


class Conveyor:
    """The trigger's ConveyorListener: tells the tracker where the conveyor is."""

    def __init__(self, line: TrackedLine) -> None:
        self._line = line

    def moved(self, counts: int, at_ns: int) -> None:
        """The encoder came to ``counts``."""
        self._line.encoder(counts, at_ns)

    def lost(self, reason: str) -> None:
        """Nobody knows any more where the parts are."""
        self._line.fault_all(reason)


class TriggerWatch:
    """Reads ``trigger`` on a thread of its own until closed; ``failure`` says why it ended before.

    parts: what was accepted, in order. accepted: is told of each part before it can be judged. missed: how many parts came
    without a trigger of their own. Neither may block. ``counts``: how many were accepted, missed, and refused for which reason.
    """

    def __init__(
        self,
        trigger: Trigger,
        line: TrackedLine,
        accepted: Callable[[Part], None],
        missed: Callable[[int], None],
        failed: Callable[[str], None],
    ) -> None:
        self.parts: queue.SimpleQueue[Part] = queue.SimpleQueue()
        self.counts: Counter[str] = Counter()
        self.failure: str = ""
        self._trigger, self._line = trigger, line
        self._accepted, self._missed, self._failed = accepted, missed, failed
        self._stopping = False
        self._thread = threading.Thread(target=self._watch, name="trigger", daemon=True)

    def start(self) -> None:
        """From now on parts are seen."""
        self._thread.start()

    def close(self) -> None:
        """Stop, and give the trigger back; may be called twice."""
        self._stopping = True
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)
        self._trigger.close()

    def _watch(self) -> None:
        try:
            while not self._stopping:
                for event in self._trigger.wait(WAIT_S):
                    self._take(event)
        except Exception as error:  # whatever a driver throws: without its trigger no part can be known
            self.failure = str(error) if isinstance(error, LineError) else f"unexpected {type(error).__name__}: {error}"
            with suppress(LineError):  # a line that cannot be driven tells that itself
                self._line.fault_all(f"the trigger failed: {self.failure}")
            self._failed(self.failure)

    def _take(self, event: TriggerEvent) -> None:
        if event.missed:
            self.counts["missed"] += event.missed
            self._missed(event.missed)
        came = self._line.trigger(event.at_ns, event.counts)
        if isinstance(came, Refusal):
            self.counts[came.value] += 1
            return
        self.counts["accepted"] += 1
        self._accepted(came)
        self.parts.put(came)
