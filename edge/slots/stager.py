"""Looks from a thread of its own for what the inspection is to change to, and has it checked and ready before it is taken."""

from __future__ import annotations

import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Generic, TypeVar

from edge.clock import Clock

Item = TypeVar("Item")
Own = TypeVar("Own", bound="Stager[object]")


class Stager(ABC, Generic[Item]):
    """Every ``poll_ns`` ``_look`` may stage an item, in place of one that nobody took; the inspection takes it between two parts.

    All that begins with an underscore is for the thread of the stager alone. tell: gets one line for people, and whether it is bad
    news, so that a slow terminal holds up no part. close_s: how long ``close`` waits for a look that hangs.
    """

    def __init__(self, name: str, poll_ns: int, close_s: float, tell: Callable[[str, bool], None], clock: Clock) -> None:
        self._poll_ns, self._close_s, self._tell, self._clock = poll_ns, close_s, tell, clock
        self._lock = threading.Lock()
        self._staged: Item | None = None
        self._news: queue.SimpleQueue[tuple[Item, str]] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._watch, name=name, daemon=True)

    @abstractmethod
    def _look(self) -> None:
        """Look once, and stage what is to be taken."""

    @abstractmethod
    def _heard(self, item: Item, refusal: str) -> None:
        """What became of ``item``: it inspects now, or was refused for this reason."""

    def _discard(self, item: Item) -> None:
        """``item`` was staged and is not wanted any more."""

    def take(self) -> Item | None:
        """What to change to, once; else None. Never waits for a disk or an engine. Whoever takes it answers."""
        with self._lock:
            item, self._staged = self._staged, None
            return item

    def answer(self, item: Item, refusal: str = "") -> None:
        """Say what became of what was taken: it inspects now, or was refused for this reason."""
        self._news.put((item, refusal))
        self._wake.set()

    def poll(self) -> None:
        """Tell what there is to tell, and look once."""
        self._tell_news()
        self._look()

    def start(self) -> None:
        """Begin to look; once."""
        self._thread.start()

    def close(self, wait_s: float | None = None) -> None:
        """Stop looking; what hangs is not waited for longer than ``wait_s``. May be called twice."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(self._close_s if wait_s is None else wait_s)
        self._stage(None)

    def __enter__(self: Own) -> Own:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _stage(self, item: Item | None) -> None:
        with self._lock:
            before, self._staged = self._staged, None if self._stopping else item
        for one in (before, item if self._stopping else None):
            if one is not None:
                with suppress(Exception):
                    self._discard(one)

    def _say(self, text: str, bad: bool) -> None:
        with suppress(OSError, ValueError):  # a terminal that is gone does not end the looking
            self._tell(text, bad)

    def _watch(self) -> None:
        while not self._stopping:
            self.poll()
            self._clock.wait(self._wake, self._poll_ns)
            self._wake.clear()
        self._tell_news()

    def _tell_news(self) -> None:
        while not self._news.empty():
            self._heard(*self._news.get())
