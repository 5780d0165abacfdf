"""What follows from a part that has left the arm: its record, the sensor's word, and whether the line must stop."""

from __future__ import annotations

from collections.abc import Callable

from edge.line.confirm_watch import ConfirmWatch
from edge.line.line_stop import LineStop
from edge.line.part_tracker import Action, Finished
from edge.line.reject_confirm import Confirmation
from edge.records.part_records import PartRecords


class Arm:
    """``left`` is called by whatever drives the line, ``confirmed`` by the sensor's thread; neither waits for anything.

    stop: is called with the reason whenever the line must stop, also while it stands.
    """

    def __init__(self, records: PartRecords | None, line_stop: LineStop, stop: Callable[[str], None]) -> None:
        self._records, self._line_stop, self._stop = records, line_stop, stop
        self.confirm: ConfirmWatch | None = None

    def left(self, finished: Finished) -> None:
        """A part has left the arm."""
        part, action = finished.part, finished.action
        if self._records is not None:
            late_ns = part.passed_ns if action is Action.LATE else None
            self._records.finished(part.part_id, part.outcome, part.reason, action, late_ns)
        if self.confirm is not None and action is Action.REJECTED and part.begin_ns is not None:
            self.confirm.pulse(part.part_id, part.begin_ns)
        self._stop_for(self._line_stop.finished(finished))

    def confirmed(self, confirmation: Confirmation) -> None:
        """What the sensor says."""
        if self._records is not None and confirmation.part_id is not None:
            self._records.confirmed(confirmation.part_id, confirmation.confirm.value)
        self._stop_for(self._line_stop.confirmed(confirmation))

    def _stop_for(self, reason: str) -> None:
        if reason:
            self._stop(reason)
