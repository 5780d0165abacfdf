"""Words for the console from a thread of their own, so that a terminal or journal that stands still never holds up a part."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

CAPACITY = 16
CLOSE_S = 2.0


class Announcer:
    """Hands each line to ``say``; what does not fit into the queue is dropped, since nobody is reading."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._queue: queue.Queue[str | None] = queue.Queue(CAPACITY)
        self._thread = threading.Thread(target=self._run, name="announcer", daemon=True)
        self._thread.start()

    def add(self, text: str) -> None:
        """Queue one line; never blocks."""
        with suppress(queue.Full):
            self._queue.put_nowait(text)

    def __enter__(self) -> Announcer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Say what is queued; gives up after two seconds when the console stands still."""
        with suppress(queue.Full):
            self._queue.put(None, timeout=CLOSE_S)
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while (text := self._queue.get()) is not None:
            with suppress(Exception):  # a console that is gone is no reason to stop inspecting
                self._say(text)
