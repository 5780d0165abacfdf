"""The other side of a NewestServer: one question at a time, a time limit for each, and a connection made anew where it ended."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from edge.clock import Clock
from edge.storage.private_socket import short_path

CONNECT_S = 2.0
Receive = Callable[[int], bytearray]
"""Exactly so many bytes of the answer."""
Result = TypeVar("Result")


class NewestReader:
    """Connects when it is first asked, or by ``connect``. For one thread."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._socket: socket.socket | None = None
        self._unanswered = b""
        """The question whose answer is still to come, of which nothing has been read."""

    def connect(self) -> None:
        """Raises OSError where nobody listens."""
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(CONNECT_S)
            with short_path(self._path) as name:
                connection.connect(name)
        except OSError:
            connection.close()
            raise
        self._socket = connection

    def ask(self, question: bytes, read: Callable[[Receive], Result], timeout_ms: int, patient: bool = False) -> Result:
        """What ``read`` makes of the answer. Raises TimeoutError, OSError or EOFError where none came, and what ``read`` raises.

        After any error the connection is closed: what is still on its way belongs to this question. patient: an answer that did not
        even begin in time may be taken by the next ``ask`` of the same question, and then is as old as that wait.
        """
        deadline_ns = self._clock.monotonic_ns() + timeout_ms * 1_000_000
        if self._unanswered and self._unanswered != question:
            self.close()
        try:
            if self._socket is not None:
                try:
                    return self._asked(question, read, deadline_ns)
                except (BrokenPipeError, ConnectionResetError, EOFError):
                    self.close()  # the server closes what is idle for a minute; a new connection tells whether it is still there
            self.connect()
            return self._asked(question, read, deadline_ns)
        except BaseException as error:
            if not (patient and self._unanswered and isinstance(error, TimeoutError)):
                self.close()
            raise

    def close(self) -> None:
        """May be called twice; it connects again when asked."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._unanswered = b""

    def _asked(self, question: bytes, read: Callable[[Receive], Result], deadline_ns: int) -> Result:
        assert self._socket is not None
        if not self._unanswered:
            self._socket.settimeout(CONNECT_S)
            self._socket.sendall(question)
            self._unanswered = question
        return read(lambda count: self._receive(count, deadline_ns))

    def _receive(self, count: int, deadline_ns: int) -> bytearray:
        assert self._socket is not None
        content = bytearray(count)
        rest = memoryview(content)
        while rest:
            left_ns = deadline_ns - self._clock.monotonic_ns()
            if left_ns <= 0:
                raise TimeoutError
            self._socket.settimeout(left_ns / 1e9)
            got = self._socket.recv_into(rest)
            if not got:
                raise EOFError
            self._unanswered = b""
            rest = rest[got:]
        return content
