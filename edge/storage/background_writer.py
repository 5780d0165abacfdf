"""A thread that writes what others hand over and never wait for: a slow or full disk holds up no part, and costs bounded memory."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from edge.errors import OutputError

Item = TypeVar("Item")
MAY_PASS = (OSError, OutputError, sqlite3.OperationalError)
"""What a disk answers that is full, locked or gone; anything else is a fault of the program, and trying again would not help."""
MOST_AT_ONCE = 512


class BackgroundWriter(Generic[Item]):
    """Hands batches of at most ``most`` items, in order, to ``write`` on a thread of its own.

    capacity: of what is queued and being written, in the unit of ``weigh``; what does not fit is counted in ``dropped``. A batch
    the disk does not take is tried again every ``retry_s``; without it the batch is dropped and counted. Either is told once,
    with ``what`` cannot be written and why, and again when it works. ``idle`` is called after each batch, and every ``idle_s``.
    """

    def __init__(
        self,
        what: str,
        write: Callable[[list[Item]], None],
        tell: Callable[[str], None],
        capacity: int,
        weigh: Callable[[Item], int] = lambda _: 1,
        retry_s: float | None = None,
        idle: Callable[[], None] | None = None,
        idle_s: float | None = None,
        most: int = MOST_AT_ONCE,
    ) -> None:
        self._what, self._write, self._tell, self._capacity, self._weigh = what, write, tell, capacity, weigh
        self._retry_s, self._idle, self._idle_s, self._most = retry_s, idle, idle_s, most
        self._changed = threading.Condition()
        self._waiting: deque[Item] = deque()
        self._weight = self._taken = self._done = self.dropped = 0
        self._told_dropped = 0
        self._closing = False
        self.failure: Exception | None = None
        """Why nothing can be written now; None while it can."""
        self._thread = threading.Thread(target=self._run, name=what, daemon=True)
        self._thread.start()

    def add(self, item: Item, share: float = 1.0) -> bool:
        """Queue ``item`` where it fits into ``share`` of the capacity; False and counted where not. Never waits for a disk."""
        weight = self._weigh(item)
        with self._changed:
            if self._closing or self._weight + weight > share * self._capacity:
                self.dropped += 1
                return False
            self._waiting.append(item)
            self._weight += weight
            self._taken += 1
            self._changed.notify_all()
        return True

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was added before is written, or dropped; False where that took longer than ``timeout_s``."""
        with self._changed:
            wanted = self._taken
            return self._changed.wait_for(lambda: self._done >= wanted, timeout_s)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Write what is queued and stop; what a disk that fails or hangs has not taken by then is counted. May be called twice.

        False where the thread still hangs.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        with self._changed:
            if self._thread.is_alive():
                self.dropped += self._taken - self._done
                self._done = self._taken
                self.failure = self.failure or TimeoutError("the disk hangs")
                self._waiting.clear()
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing, self._idle_s)
                batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
                if not batch and self._closing:
                    return
            if batch:
                written = self._attempt(batch)
                with self._changed:
                    self._weight -= sum(map(self._weigh, batch))
                    self._done += len(batch)
                    self.dropped += 0 if written else len(batch)
                    self._changed.notify_all()
                self._tell_of_overflow(len(self._waiting))
            if self._idle is not None:
                self._guarded(self._idle)

    def _attempt(self, batch: list[Item]) -> bool:
        while not self._guarded(lambda: self._write(batch)):
            if self._retry_s is None or not isinstance(self.failure, MAY_PASS):
                return False
            with self._changed:
                last = self._changed.wait_for(lambda: self._closing, self._retry_s)
            if last:
                return self._guarded(lambda: self._write(batch))
        return True

    def _guarded(self, act: Callable[[], None]) -> bool:
        try:
            act()
        except Exception as error:  # a fault of the program is no reason to stop inspecting either
            if self.failure is None:
                remedy = "" if isinstance(error, OutputError) else "; free space or check the disk"
                kind = "" if isinstance(error, MAY_PASS) else f"unexpected {type(error).__name__}: "
                self._tell(f"{self._what}: cannot be written: {kind}{error}{remedy}; inspection goes on without")
            self.failure = error
            return False
        if self.failure is not None and act is not self._idle:
            self.failure = None
            self._told_dropped = self.dropped
            self._tell(f"{self._what}: is written again; {self.dropped} lost since the start")
        return True

    def _tell_of_overflow(self, waiting: int) -> None:
        """Once for each time the queue overflowed, when it is empty again."""
        if self.failure is None and not waiting and self.dropped > self._told_dropped:
            self._told_dropped = self.dropped
            self._tell(f"{self._what}: the disk was too slow; {self.dropped} lost since the start")
