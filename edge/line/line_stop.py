"""When the line must stop: a bad part that may have gone on, rejects that are not confirmed, too many rejects in a row. Pure."""

from __future__ import annotations

from edge.line.part_tracker import Action, Finished
from edge.line.reject_confirm import Confirm, Confirmation


class LineStop:
    """Each answer is why the line must stop now, empty where it may run on. A row that stopped it begins anew.

    rejects_in_a_row: None where any number may follow. failed_confirms: so many in a row.
    """

    def __init__(self, rejects_in_a_row: int | None, failed_confirms: int) -> None:
        self._most_rejects, self._most_failed = rejects_in_a_row, failed_confirms
        self._rejects = self._failed = 0

    def finished(self, finished: Finished) -> str:
        """A part has left the arm. One of which nothing is known neither ends a row of rejects nor belongs to it."""
        part, action = finished.part, finished.action
        if action is Action.LATE:
            return f"part {part.part_id} is not good and may have gone on: the reject line came too late"
        if action is Action.PASSED:
            self._rejects = 0
        elif action is Action.REJECTED:
            self._rejects += 1
            if self._rejects == self._most_rejects:
                self._rejects = 0
                return f"{self._most_rejects} parts in a row were rejected, the last was part {part.part_id}"
        return ""

    def confirmed(self, confirmation: Confirmation) -> str:
        """A reject was confirmed or not. An unexpected edge is for the record; it lets no bad part through."""
        if confirmation.confirm is Confirm.CONFIRMED:
            self._failed = 0
        elif confirmation.confirm is Confirm.NOT_CONFIRMED:
            self._failed += 1
            if self._failed == self._most_failed:
                self._failed = 0
                what = "a reject was" if self._most_failed == 1 else f"{self._most_failed} rejects in a row were"
                return f"{what} not confirmed, part {confirmation.part_id} may have gone on"
        return ""
