"""Notices that another slot was made active, and has it checked and ready before the inspection takes it between two parts."""

from __future__ import annotations

from collections.abc import Callable

from edge.clock import Clock
from edge.line.station_view import View
from edge.slots.calibration_slot import CalibrationSlot, SlotStore
from edge.slots.stager import Stager

POLL_NS = 1_000_000_000
CLOSE_S = 2.0
NOT_LOOKED_YET = ("", 0, 0)


class SlotWatcher(Stager[CalibrationSlot]):
    """Looks at ``current`` once a second. ``take`` gives the active slot once after each activation, and at the start.

    running: the slot the inspection starts with. A slot that cannot be loaded, or does not fit, is told once and not staged.
    """

    def __init__(
        self,
        store: SlotStore,
        precision: str,
        runtime: str,
        view: View,
        running: CalibrationSlot,
        tell: Callable[[str, bool], None],
        clock: Clock,
    ) -> None:
        super().__init__("slot watcher", POLL_NS, CLOSE_S, tell, clock)
        self._store, self._key, self._running = store, (precision, runtime, view), running
        self._seen: tuple[str, int, int] | None = NOT_LOOKED_YET

    def _look(self) -> None:
        state = self._store.pointer.state()
        if state == self._seen:
            return
        self._seen = state
        slot = None
        try:
            slot = self._store.current(*self._key)
        except Exception as error:  # whatever is wrong with it, the running one goes on
            self._refused("the calibration made active", str(error) or type(error).__name__)
        self._stage(slot)

    def _heard(self, item: CalibrationSlot, refusal: str) -> None:
        if refusal:
            self._refused(f"calibration {item.record.serial}", refusal)
        else:
            self._running = item
            self._say(f"calibration {item.record.serial} taken: {item.describe()}", False)

    def _refused(self, which: str, reason: str) -> None:
        self._say(f"{which} is refused: {reason}; calibration {self._running.record.serial} stays", True)
