"""A video file as a camera: every frame once, in order."""

from __future__ import annotations

from pathlib import Path

import cv2

from edge.cameras.base import Camera
from edge.clock import Clock
from edge.errors import CameraOpenError, EndOfStream
from edge.pictures.image_file import IMAGE_SUFFIXES


class VideoFileCamera(Camera):
    """Frames of a recording as fast as they are asked for."""

    def __init__(self, path: Path, clock: Clock) -> None:
        super().__init__(f"file://{path}")
        self._clock = clock
        self._next = 0
        if not path.is_file():
            raise CameraOpenError(f"{path}: expected a video file, there is none; check the path")
        if path.suffix.lower() in IMAGE_SUFFIXES:  # OpenCV would take it for a recording of one frame, or of all that are numbered
            raise CameraOpenError(
                f"{path}: expected a video file or a folder of pictures, got one picture; name the folder it is in"
            )
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise CameraOpenError(f"{path}: expected a video file, OpenCV cannot open it; check that it is whole and its codec")

    def _read_impl(self, timeout_ms: int) -> tuple[object, int, str]:  # noqa: ARG002 - a file does not keep one waiting
        ok, image = self._capture.read()
        if not ok:
            raise EndOfStream(f"{self.name}: no more frames")
        source = f"{self.name}#{self._next}"
        self._next += 1
        return image, self._clock.monotonic_ns(), source

    def _close_impl(self) -> None:
        self._capture.release()
