"""Gives who asks over a Unix socket the newest of something, from its own thread. Who reads slowly misses some; nobody waits."""

from __future__ import annotations

import os
import selectors
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from edge.clock import Clock
from edge.errors import OutputError
from edge.storage.private_socket import bound_socket, is_served, remove_socket

MOST_READERS = 4
BACKLOG = 16
SEND_LIMIT_NS = 5_000_000_000
"""An answer not taken by then is not wanted."""
IDLE_LIMIT_NS = 60_000_000_000
"""A reader that asks for nothing for so long makes place; it may connect again."""
TICK_S = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """``number`` grows with each newer one; a connection gets none twice. content: bytes, which nobody changes."""

    number: int
    content: list[bytes | memoryview]


@dataclass
class _Reader:
    """One connection. asked: what it wants to know, empty once answered. sending: what is left of the answer."""

    socket: socket.socket
    since_ns: int
    asked: bytes = b""
    sent: dict[bytes, int] = field(default_factory=dict)
    sending: list[memoryview] = field(default_factory=list)


class NewestServer:
    """Listens at ``path`` (mode 0600) until closed. ``failure`` says why it no longer does; whoever made it goes on without.

    answers: for each question, a byte, what gives the newest answer, None where there is none yet; called by the server's thread. A
    question is answered when there is a newer answer than the last on that connection. Anything else ends the connection.
    Raises OutputError where it cannot listen, also where another program does already.
    """

    def __init__(self, path: Path, answers: Mapping[bytes, Callable[[], Answer | None]], clock: Clock) -> None:
        self._path, self._answers, self._clock = path, answers, clock
        self._wanted = self._stopping = False
        self.failure: str | None = None
        self._readers: dict[int, _Reader] = {}
        self._listener, self._inode = _listen(path)
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._woken)
        self._thread = threading.Thread(target=self._serve, name=path.name, daemon=True)
        self._thread.start()

    def renewed(self) -> None:
        """There is a newer answer; a microsecond, whatever the readers do."""
        if self._wanted:
            self._wake()

    def close(self) -> None:
        """Stop, close all connections and remove the socket; may be called twice."""
        if self._stopping:
            return
        self._stopping = True
        self._wake()
        self._thread.join()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # full: it will wake
            os.write(self._wake_write, b"\x00")

    def _serve(self) -> None:
        try:
            while not self._stopping:
                for key, _ in self._selector.select(TICK_S):
                    handle: Callable[[], None] = key.data
                    handle()
                self._answer()
                self._drop_the_slow()
        except Exception as error:  # what others want to see is never worth the inspection
            self.failure = f"{type(error).__name__}: {error}"
        finally:
            for reader in list(self._readers.values()):
                self._drop(reader)
            self._selector.close()
            self._listener.close()
            with suppress(OSError):
                remove_socket(self._path, self._inode)

    def _woken(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._wake_read, 4096)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # gone again, or no descriptor left
            return
        if len(self._readers) >= MOST_READERS:
            connection.close()
            return
        connection.setblocking(False)
        reader = _Reader(connection, self._clock.monotonic_ns())
        self._readers[connection.fileno()] = reader
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._handle(reader))

    def _handle(self, reader: _Reader) -> None:
        try:
            if reader.sending:
                self._send(reader)
                return
            asked = reader.socket.recv(16)
        except BlockingIOError:
            return
        except OSError:
            asked = b""
        if asked not in self._answers or reader.asked:  # the end, or not what a reader says
            self._drop(reader)
            return
        reader.asked, reader.since_ns = asked, self._clock.monotonic_ns()

    def _answer(self) -> None:
        wanted = {reader.asked for reader in self._readers.values() if reader.asked}
        # Set before the newest is looked at: one renewed in between is seen here, or wakes.
        self._wanted = bool(wanted)
        for question in wanted:
            newest = self._answers[question]()
            if newest is None:
                continue
            for reader in self._readers.values():
                if reader.asked == question and reader.sent.get(question, -1) < newest.number:
                    self._begin(reader, newest)

    def _begin(self, reader: _Reader, newest: Answer) -> None:
        reader.sent[reader.asked] = newest.number
        reader.asked, reader.since_ns = b"", self._clock.monotonic_ns()
        reader.sending = [memoryview(part) for part in newest.content if len(part)]
        self._selector.modify(reader.socket, selectors.EVENT_WRITE, lambda: self._handle(reader))

    def _send(self, reader: _Reader) -> None:
        sent = reader.socket.send(reader.sending[0])
        reader.sending[0] = reader.sending[0][sent:]
        if not reader.sending[0]:
            reader.sending.pop(0)
        if not reader.sending:
            reader.since_ns = self._clock.monotonic_ns()
            self._selector.modify(reader.socket, selectors.EVENT_READ, lambda: self._handle(reader))

    def _drop_the_slow(self) -> None:
        now = self._clock.monotonic_ns()
        for reader in list(self._readers.values()):
            if reader.asked:  # what it waits for is slow; the reader has a time limit of its own
                continue
            if now - reader.since_ns > (SEND_LIMIT_NS if reader.sending else IDLE_LIMIT_NS):
                self._drop(reader)

    def _drop(self, reader: _Reader) -> None:
        self._readers.pop(reader.socket.fileno(), None)
        self._selector.unregister(reader.socket)
        reader.socket.close()


def _listen(path: Path) -> tuple[socket.socket, int]:
    """(socket, inode)."""
    if is_served(path):
        raise OutputError(f"{path}: another edge-inspect listens there already; what this one sees is not shared")
    try:
        return bound_socket(path, socket.SOCK_STREAM, BACKLOG)
    except OSError as error:
        raise OutputError(f"{path}: cannot listen there: {error.strerror or error}; choose another --state") from error
