"""A part every so many counts of the encoder."""

from __future__ import annotations

from edge.gpio.input_lines import InputLines
from edge.triggers.base import Trigger, TriggerEvent
from edge.triggers.conveyor import Conveyor


class EncoderTrigger(Trigger):
    """Reads ``inputs``, the encoder's tracks; they are closed with this.

    A part is due each time the conveyor comes further than ever before by ``every_counts``: one that swings at such a place, or
    runs back and forward again, makes no second part.
    """

    def __init__(self, inputs: InputLines, conveyor: Conveyor, every_counts: int) -> None:
        self.name = ", ".join(inputs.names)
        self._inputs, self._conveyor, self._every = inputs, conveyor, every_counts
        self._due = conveyor.counts + every_counts

    def wait(self, timeout_s: float) -> list[TriggerEvent]:
        events = []
        for edge in self._inputs.wait(timeout_s):
            self._conveyor.edge(edge)
            if self._conveyor.counts >= self._due:
                events.append(TriggerEvent(edge.at_ns, self._conveyor.counts))
                self._due += self._every
        return events

    def close(self) -> None:
        self._inputs.close()
