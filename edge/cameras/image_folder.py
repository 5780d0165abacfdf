"""A folder of images as a camera: for replay, tests and the demo."""

from __future__ import annotations

from pathlib import Path

from edge.cameras.base import Camera
from edge.clock import Clock
from edge.errors import CameraOpenError, EndOfStream, FrameError, ImageError
from edge.pictures.image_file import list_images, read_image


class ImageFolderCamera(Camera):
    """Gives the images directly in ``folder`` once, by name. A broken file is a FrameError, so that its part is rejected."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        super().__init__(f"file://{folder}")
        self._clock = clock
        try:
            self._paths = iter(list_images(folder))
        except ImageError as error:
            raise CameraOpenError(str(error)) from error

    def _read_impl(self, timeout_ms: int) -> tuple[object, int, str]:  # noqa: ARG002 - a file does not keep one waiting
        path = next(self._paths, None)
        if path is None:
            raise EndOfStream(f"{self.name}: no more images")
        exposed_ns = self._clock.monotonic_ns()
        try:
            return read_image(path).image, exposed_ns, str(path)
        except ImageError as error:
            raise FrameError(str(error)) from error

    def _close_impl(self) -> None:
        self._paths = iter(())
