"""The pictures of an edge-inspect that holds the camera, through its socket; the camera and the inspection do not notice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import ValidationError

from edge.cameras.base import Camera
from edge.cameras.camera_settings import CameraSettings
from edge.capture.frame_sharing import (
    MAGIC,
    MOST_HEADER_BYTES,
    MOST_IMAGE_BYTES,
    NEXT,
    FrameHeader,
)
from edge.clock import Clock
from edge.errors import CameraLostError, CameraOpenError, CameraTimeoutError
from edge.frame import Image
from edge.live.message import NoMessageError, read_header
from edge.live.newest_reader import NewestReader, Receive

SETTINGS_MS = 5000


class SharedFrames(Camera):
    """Asks for one picture at a time, and believes nothing of the answer that it has not checked."""

    live = True

    def __init__(self, path: Path, clock: Clock) -> None:
        super().__init__("inspect")
        self._path, self._clock = path, clock
        self._reader = NewestReader(path, clock)
        try:
            self._reader.connect()
        except OSError as error:
            raise CameraOpenError(
                f"camera inspect: no running edge-inspect shares its pictures at {path} ({error.strerror or error}); "
                "start it as the same user, name its --bundle or --state, or the camera itself"
            ) from error

    def _read_impl(self, timeout_ms: int) -> tuple[object, int, str]:
        header, image = self._fetch(timeout_ms)
        return image, min(header.exposed_ns, self._clock.monotonic_ns()), header.source

    def _lock_exposure_impl(self) -> CameraSettings | None:
        """The inspection's own lock; None where it runs without."""
        return self._fetch(SETTINGS_MS)[0].settings

    def _fetch(self, timeout_ms: int) -> tuple[FrameHeader, Image]:
        try:
            return self._reader.ask(NEXT, _read, timeout_ms)
        except TimeoutError as error:
            raise CameraTimeoutError(f"{self.name}: no frame came in time; is the camera of edge-inspect alive?") from error
        except ValidationError as error:
            raise self._nonsense(f"a header with {error.errors()[0]['loc']} wrong") from error
        except NoMessageError as error:
            raise self._nonsense(str(error)) from error
        except (OSError, EOFError) as error:
            raise CameraLostError(f"{self.name}: edge-inspect shares no more pictures at {self._path}; is it running?") from error

    def _nonsense(self, what: str) -> CameraLostError:
        return CameraLostError(f"{self.name}: {self._path} gave {what}; another program or version listens there: update both")

    def _close_impl(self) -> None:
        self._reader.close()


def _read(receive: Receive) -> tuple[FrameHeader, Image]:
    header = FrameHeader.model_validate_json(read_header(MAGIC, MOST_HEADER_BYTES, receive))
    if header.image_bytes() > MOST_IMAGE_BYTES:
        raise NoMessageError(f"a picture of {header.width}×{header.height}")
    image = np.frombuffer(receive(header.image_bytes()), np.uint8)
    return header, image.reshape(header.height, header.width, 3)
