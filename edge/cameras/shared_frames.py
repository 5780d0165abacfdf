"""The pictures of an edge-inspect that holds the camera, through its socket; the camera and the inspection do not notice."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from edge.cameras.base import Camera
from edge.cameras.camera_settings import CameraSettings
from edge.capture.frame_sharing import (
    LENGTH_BYTES,
    MAGIC,
    MOST_HEADER_BYTES,
    MOST_IMAGE_BYTES,
    NEXT,
    FrameHeader,
)
from edge.clock import Clock
from edge.errors import CameraLostError, CameraOpenError, CameraTimeoutError
from edge.frame import Image
from edge.storage.private_socket import short_path

CONNECT_S = 2.0
SETTINGS_MS = 5000


class SharedFrames(Camera):
    """Asks for one picture at a time, and believes nothing of the answer that it has not checked."""

    live = True

    def __init__(self, path: Path, clock: Clock) -> None:
        super().__init__("inspect")
        self._path, self._clock = path, clock
        try:
            self._socket: socket.socket | None = self._connect()
        except OSError as error:
            raise CameraOpenError(
                f"camera inspect: no running edge-inspect shares its pictures at {path} ({error.strerror or error}); "
                "start it as the same user, name its --bundle or --state, or the camera itself"
            ) from error

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(CONNECT_S)
            with short_path(self._path) as name:
                connection.connect(name)
        except OSError:
            connection.close()
            raise
        return connection

    def _read_impl(self, timeout_ms: int) -> tuple[object, int, str]:
        header, image = self._fetch(timeout_ms)
        return image, min(header.exposed_ns, self._clock.monotonic_ns()), header.source

    def _lock_exposure_impl(self) -> CameraSettings | None:
        """The inspection's own lock; None where it runs without."""
        return self._fetch(SETTINGS_MS)[0].settings

    def _fetch(self, timeout_ms: int) -> tuple[FrameHeader, Image]:
        deadline_ns = self._clock.monotonic_ns() + timeout_ms * 1_000_000
        try:
            return self._ask(deadline_ns)
        except _NotAnsweredError:
            # It closes what is idle for a minute; a new connection will tell whether it is still there.
            self._hang_up()
            return self._ask(deadline_ns, again=True)

    def _ask(self, deadline_ns: int, again: bool = False) -> tuple[FrameHeader, Image]:
        try:
            if self._socket is None:
                self._socket = self._connect()
            self._socket.settimeout(CONNECT_S)
            self._socket.sendall(NEXT)
            start = self._receive(len(MAGIC) + LENGTH_BYTES, deadline_ns)
            length = int.from_bytes(start[len(MAGIC) :], "big")
            if start[: len(MAGIC)] != MAGIC or length > MOST_HEADER_BYTES:
                raise self._nonsense("no picture of edge-inspect")
            header = FrameHeader.model_validate_json(self._receive(length, deadline_ns))
            if header.image_bytes() > MOST_IMAGE_BYTES:
                raise self._nonsense(f"a picture of {header.width}×{header.height}")
            image = np.frombuffer(self._receive(header.image_bytes(), deadline_ns), np.uint8)
            return header, image.reshape(header.height, header.width, 3)
        except TimeoutError as error:
            self._hang_up()  # what is on its way belongs to this question
            raise CameraTimeoutError(f"{self.name}: no frame came in time; is the camera of edge-inspect alive?") from error
        except ValidationError as error:
            raise self._nonsense(f"a header with {error.errors()[0]['loc']} wrong") from error
        except (OSError, EOFError) as error:
            if not again and isinstance(error, BrokenPipeError | ConnectionResetError | EOFError):
                raise _NotAnsweredError from error
            self._hang_up()
            raise CameraLostError(f"{self.name}: edge-inspect shares no more pictures at {self._path}; is it running?") from error

    def _nonsense(self, what: str) -> CameraLostError:
        self._hang_up()
        return CameraLostError(f"{self.name}: {self._path} gave {what}; another program or version listens there: update both")

    def _receive(self, count: int, deadline_ns: int) -> bytearray:
        """Exactly ``count`` bytes; raises TimeoutError, EOFError."""
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
            rest = rest[got:]
        return content

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _close_impl(self) -> None:
        self._hang_up()


class _NotAnsweredError(Exception):
    """The connection had ended before it was asked."""
