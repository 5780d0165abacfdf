"""A photo-eye: a part interrupts the beam. With an encoder, each part also knows where the conveyor was."""

from __future__ import annotations

from edge.gpio.input_lines import InputLines
from edge.triggers.base import Trigger, TriggerEvent
from edge.triggers.conveyor import Conveyor
from edge.triggers.pitch_watch import PitchWatch

EYE = "eye"


class PhotoEye(Trigger):
    """Reads ``inputs``, among which one is called EYE; it is closed with this.

    begin: a part counts when it comes into the beam, else when it leaves. pitch: by counts where ``pitch_in_counts``, else by time.
    """

    def __init__(
        self,
        inputs: InputLines,
        *,
        begin: bool = True,
        conveyor: Conveyor | None = None,
        pitch: PitchWatch | None = None,
        pitch_in_counts: bool = False,
    ) -> None:
        self.name = ", ".join(inputs.names)
        self._inputs, self._begin, self._conveyor = inputs, begin, conveyor
        self._pitch, self._pitch_in_counts = pitch, pitch_in_counts
        self._missed = 0

    def wait(self, timeout_s: float) -> list[TriggerEvent]:
        events = []
        for edge in self._inputs.wait(timeout_s):
            if edge.line != EYE:
                if self._conveyor is not None:
                    self._conveyor.edge(edge)
                continue
            self._missed += edge.missed
            if edge.rising == self._begin:
                events.append(self._event(edge.at_ns))
        return events

    def _event(self, at_ns: int) -> TriggerEvent:
        counts = self._conveyor.counts if self._conveyor is not None else None
        missed, self._missed = self._missed, 0
        if self._pitch is not None:
            at = counts if self._pitch_in_counts and counts is not None else at_ns
            missed = max(missed, self._pitch.missed(at))
        return TriggerEvent(at_ns, counts, missed)

    def close(self) -> None:
        self._inputs.close()
