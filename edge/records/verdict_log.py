"""Verdicts, and events between them, as JSON lines, from a thread of its own: a slow disk or pipe holds up no part."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from typing import Protocol, TextIO

CAPACITY = 4096


class Line(Protocol):
    """A verdict, or an event between two of them; only an event has the key ``event``."""

    def to_json(self) -> str:
        """One line of JSON, without its end."""
        ...


class VerdictLog:
    """Writes each verdict, and each event, as one line to ``stream``, which it closes at the end where it is ``owned``.

    What does not fit into the queue, or cannot be written, is counted in ``dropped``, not waited for; ``failure`` says why.
    """

    def __init__(self, stream: TextIO, capacity: int = CAPACITY, owned: bool = False) -> None:
        self._stream, self._owned = stream, owned
        self._queue: queue.Queue[Line | None] = queue.Queue(capacity)
        self.dropped = 0
        self.failure: Exception | None = None
        self._thread = threading.Thread(target=self._write, name="verdict log", daemon=True)
        self._thread.start()

    def add(self, line: Line) -> None:
        """Queue one line; never blocks."""
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self.dropped += 1

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what is queued and stop; gives up after ``timeout_s`` when the stream is stuck. May be called twice."""
        if self._thread.is_alive():
            with suppress(queue.Full):
                self._queue.put(None, timeout=timeout_s)
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                self.dropped += self._queue.qsize()
                self.failure = TimeoutError("the log is stuck")

    def _write(self) -> None:
        while (line := self._queue.get()) is not None:
            if self.failure is None:
                try:
                    self._stream.write(line.to_json() + "\n")
                    if self._queue.empty():
                        self._stream.flush()
                    continue
                except (OSError, ValueError) as error:  # ValueError: the stream was closed under us
                    self.failure = error
            self.dropped += 1
        try:
            if self._owned:
                self._stream.close()
            else:
                self._stream.flush()
        except (OSError, ValueError) as error:
            self.failure = self.failure or error
