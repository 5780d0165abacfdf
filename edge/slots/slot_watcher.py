"""Notices that another slot was made active, and has it checked and ready before the inspection takes it between two parts."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from edge.clock import Clock
from edge.line.station_view import View
from edge.slots.calibration_slot import CalibrationSlot, SlotStore

POLL_NS = 1_000_000_000
CLOSE_S = 2.0
NOT_LOOKED_YET = ("", 0, 0)


class SlotWatcher:
    """Looks at ``current`` once a second from a thread of its own, while entered.

    running: the slot the inspection starts with. tell: gets one line for people, and whether it is bad news, from that thread
    alone, so that a slow terminal holds up no part. A slot that cannot be loaded, or does not fit, is told once and not staged.
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
        self._store, self._key, self._running = store, (precision, runtime, view), running
        self._tell, self._clock = tell, clock
        self._seen: tuple[str, int, int] | None = NOT_LOOKED_YET
        self._lock = threading.Lock()
        self._staged: CalibrationSlot | None = None
        self._news: queue.SimpleQueue[tuple[CalibrationSlot, str]] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._watch, name="slot watcher", daemon=True)

    def take(self) -> CalibrationSlot | None:
        """The active slot, once after each activation and at the start; else None. Never waits for a disk."""
        with self._lock:
            slot, self._staged = self._staged, None
            return slot

    def answer(self, slot: CalibrationSlot, refusal: str = "") -> None:
        """Say what became of a slot that was taken: it inspects now, or was refused for this reason."""
        self._news.put((slot, refusal))
        self._wake.set()

    def poll(self) -> None:
        """Look once, and tell what there is to tell."""
        self._tell_news()
        state = self._store.pointer.state()
        if state == self._seen:
            return
        self._seen = state
        slot = None
        try:
            slot = self._store.current(*self._key)
        except Exception as error:  # whatever is wrong with it, the running one goes on
            self._refused("the calibration made active", str(error) or type(error).__name__)
        with self._lock:
            self._staged = slot

    def close(self, wait_s: float = CLOSE_S) -> None:
        """Stop looking; a disk that hangs is not waited for longer than ``wait_s``. May be called twice."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(wait_s)

    def start(self) -> None:
        """Begin to look; once."""
        self._thread.start()

    def __enter__(self) -> SlotWatcher:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _watch(self) -> None:
        while not self._stopping:
            self.poll()
            self._clock.wait(self._wake, POLL_NS)
            self._wake.clear()
        self._tell_news()

    def _tell_news(self) -> None:
        while not self._news.empty():
            slot, refusal = self._news.get()
            if refusal:
                self._refused(f"calibration {slot.record.serial}", refusal)
            else:
                self._running = slot
                self._say(f"calibration {slot.record.serial} taken: {slot.describe()}", False)

    def _refused(self, which: str, reason: str) -> None:
        self._say(f"{which} is refused: {reason}; calibration {self._running.record.serial} stays", True)

    def _say(self, text: str, bad: bool) -> None:
        with suppress(OSError, ValueError):  # a terminal that is gone does not end the watching
            self._tell(text, bad)
