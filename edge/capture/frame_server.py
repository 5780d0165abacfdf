"""Shares the newest picture of a running inspection, with who asks for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from edge.cameras.base import Camera
from edge.cameras.camera_settings import CameraSettings
from edge.cameras.shared_frames import SharedFrames
from edge.capture.frame_sharing import MAGIC, NEXT, FrameHeader
from edge.clock import Clock
from edge.errors import OutputError
from edge.frame import Frame
from edge.live.message import packed
from edge.live.newest_server import Answer, NewestServer

MOST_AGE_NS = 2_000_000_000
"""An older picture is not handed out: the camera has stopped, and the reader shall know."""


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
        self._driver_ns, self._still_ns = frame.driver_ns, frame.still_ns
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


class FrameServer:
    """Listens at ``path`` until closed; see NewestServer. Raises OutputError where it cannot listen."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._newest: tuple[int, Frame, str, CameraSettings | None] | None = None
        self._count = 0
        self._server = NewestServer(path, {NEXT: self._answer}, clock)

    @property
    def failure(self) -> str | None:
        """Why it serves no more."""
        return self._server.failure

    def offer(self, frame: Frame, camera: str, settings: CameraSettings | None) -> None:
        """Take the newest frame, whose image nobody changes; a few microseconds, whatever the readers do."""
        self._newest = (self._count, frame, camera, settings)
        self._count += 1
        self._server.renewed()

    def close(self) -> None:
        """Stop, close all connections and remove the socket; may be called twice."""
        self._server.close()

    def _answer(self) -> Answer | None:
        newest = self._newest
        if newest is None:
            return None
        number, frame, camera, settings = newest
        if self._clock.monotonic_ns() - frame.exposed_ns > MOST_AGE_NS:
            return None
        image = np.ascontiguousarray(frame.image)
        header = FrameHeader(
            width=image.shape[1], height=image.shape[0], exposed_ns=frame.exposed_ns, camera=_text(camera),
            source=_text(frame.source), settings=settings,
        )  # fmt: skip
        return Answer(number, [packed(MAGIC, header.model_dump_json()), image.data.cast("B")])


def _text(words: str) -> str:
    """As JSON can carry it, and not too long: a file name may be no text."""
    return words.encode(errors="replace").decode()[-1000:]
