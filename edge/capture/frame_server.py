"""Shares the newest picture of a running inspection, from a thread of its own. Who reads slowly misses some; nobody waits."""

from __future__ import annotations

import os
import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edge.cameras.base import Camera
from edge.cameras.camera_settings import CameraSettings
from edge.cameras.shared_frames import SharedFrames
from edge.capture.frame_sharing import NEXT, FrameHeader, packed
from edge.clock import Clock
from edge.errors import OutputError
from edge.frame import Frame
from edge.storage.private_socket import bound_socket, is_served, remove_socket

MOST_READERS = 4
BACKLOG = 16
SEND_LIMIT_NS = 5_000_000_000
"""A picture not taken by then is not wanted."""
IDLE_LIMIT_NS = 60_000_000_000
"""A reader that asks for nothing for so long makes place; it may connect again."""
MOST_AGE_NS = 2_000_000_000
"""An older picture is not handed out: the camera has stopped, and the reader shall know."""
TICK_S = 1.0


class SharedCamera(Camera):
    """Another camera, whose every frame is also offered to ``server``; that costs the inspection a reference.

    settings: what the other one was locked to, None where it was not.
    """

    def __init__(self, camera: Camera, server: FrameServer, settings: CameraSettings | None) -> None:
        super().__init__(camera.name)
        self._camera, self._server, self._settings = camera, server, settings
        self.live = camera.live

    def _read_impl(self, timeout_ms: int) -> tuple[object, int, str]:
        frame = self._camera.read(timeout_ms)
        self._driver_ns = frame.driver_ns
        self._server.offer(frame, self._camera.name, self._settings)
        return frame.image, frame.exposed_ns, frame.source

    def _lock_exposure_impl(self) -> CameraSettings | None:
        self._settings = self._camera.lock_exposure()
        return self._settings

    def _close_impl(self) -> None:
        self._camera.close()


class FrameSharing:
    """Puts what an inspection opens, again and again, behind one server. Where that cannot listen it says so, once."""

    def __init__(self, path: Path, clock: Clock, say: Callable[[str], None]) -> None:
        self._path, self._clock, self._say = path, clock, say
        self._server: FrameServer | None = None
        self._tried = False

    def shared(self, camera: Camera, settings: CameraSettings | None) -> Camera:
        """``camera``, locked to ``settings``, shared where it is a live one of our own."""
        if not camera.live or isinstance(camera, SharedFrames):
            return camera
        if not self._tried:
            self._tried = True
            try:
                self._server = FrameServer(self._path, self._clock)
            except OutputError as error:
                self._say(str(error))
        return camera if self._server is None else SharedCamera(camera, self._server, settings)

    def close(self) -> None:
        """End the sharing; may be called twice."""
        if self._server is not None:
            self._server.close()


@dataclass
class _Reader:
    """One connection. wants: asked, and not yet answered. sending: what is left of the answer."""

    socket: socket.socket
    since_ns: int
    wants: bool = False
    sent: int = -1
    sending: list[memoryview] = field(default_factory=list)


class FrameServer:
    """Listens at ``path`` (mode 0600) until closed. ``failure`` says why it no longer does; the inspection goes on without.

    Raises OutputError where it cannot listen, also where another inspection does already.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._newest: tuple[int, Frame, str, CameraSettings | None] | None = None
        self._count = 0
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
        self._thread = threading.Thread(target=self._serve, name="frame server", daemon=True)
        self._thread.start()

    def offer(self, frame: Frame, camera: str, settings: CameraSettings | None) -> None:
        """Take the newest frame, whose image nobody changes; a few microseconds, whatever the readers do."""
        self._newest = (self._count, frame, camera, settings)
        self._count += 1
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
        except Exception as error:  # pictures for others are never worth the inspection
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
        if asked != NEXT or reader.wants:  # the end, or not what a reader says
            self._drop(reader)
            return
        reader.wants, reader.since_ns = True, self._clock.monotonic_ns()

    def _answer(self) -> None:
        # Set before the newest frame is looked at: an offer in between is seen here, or wakes.
        self._wanted = any(reader.wants for reader in self._readers.values())
        newest = self._newest
        if newest is None:
            return
        number, frame, camera, settings = newest
        if self._clock.monotonic_ns() - frame.exposed_ns > MOST_AGE_NS:
            return
        waiting = [reader for reader in self._readers.values() if reader.wants and reader.sent < number]
        if not waiting:
            return
        image = np.ascontiguousarray(frame.image)
        header = FrameHeader(
            width=image.shape[1], height=image.shape[0], exposed_ns=frame.exposed_ns, camera=_text(camera),
            source=_text(frame.source), settings=settings,
        )  # fmt: skip
        start = packed(header)
        for reader in waiting:
            reader.wants, reader.sent, reader.since_ns = False, number, self._clock.monotonic_ns()
            reader.sending = [memoryview(start), image.data.cast("B")]
            self._selector.modify(reader.socket, selectors.EVENT_WRITE, lambda reader=reader: self._handle(reader))

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
            if reader.wants:  # it is the camera that is slow; the reader has a time limit of its own
                continue
            if now - reader.since_ns > (SEND_LIMIT_NS if reader.sending else IDLE_LIMIT_NS):
                self._drop(reader)

    def _drop(self, reader: _Reader) -> None:
        self._readers.pop(reader.socket.fileno(), None)
        self._selector.unregister(reader.socket)
        reader.socket.close()


def _text(words: str) -> str:
    """As JSON can carry it, and not too long: a file name may be no text."""
    return words.encode(errors="replace").decode()[-1000:]


def _listen(path: Path) -> tuple[socket.socket, int]:
    """(socket, inode)."""
    if is_served(path):
        raise OutputError(f"{path}: another edge-inspect shares its pictures there; pictures of this one are not shared")
    try:
        return bound_socket(path, socket.SOCK_STREAM, BACKLOG)
    except OSError as error:
        raise OutputError(f"{path}: cannot share pictures there: {error.strerror or error}; choose another --state") from error
