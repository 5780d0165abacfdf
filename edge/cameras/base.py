"""The contract of a camera: one frame at a time, with a time limit, and every way of failing told apart."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType

from edge.cameras.camera_settings import CameraSettings
from edge.errors import CameraLostError
from edge.frame import Frame, require_bgr


class Camera(ABC):
    """``read`` checks state and picture; a backend implements only ``_read_impl`` and ``_close_impl``.

    One thread uses a camera at a time. A backend is open when its constructor returns, or raised CameraOpenError.
    """

    live = False
    """True where frames pass whether they are read or not; then ``read`` gives the newest, never an old one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._index = 0
        self._closed = False
        self._driver_ns: int | None = None
        """The driver's own time stamp of what ``_read_impl`` gave last; set by backends that have one."""
        self._still_ns = 0
        """As Frame has it; set by backends that see every picture of a live camera."""

    def read(self, timeout_ms: int) -> Frame:
        """The next frame (for a live camera: the newest one not yet given).

        Raises CameraTimeoutError (none within ``timeout_ms``), CameraLostError (open it again), FrameError (this one
        cannot be used, the next may), EndOfStream (a folder or recording is at its end).
        """
        if self._closed:
            raise CameraLostError(f"{self.name}: is closed; open it again")
        index = self._index
        self._index += 1
        image, exposed_ns, source = self._read_impl(timeout_ms)
        return Frame(require_bgr(image, source), index, exposed_ns, source, self._driver_ns, self._still_ns)

    def lock_exposure(self) -> CameraSettings | None:
        """Hold exposure, gain and white balance where they are now; what they are, None where the source has none or tells none.

        Frames read afterwards are taken with them. Raises CameraOpenError where the camera does not obey, CameraLostError,
        CameraTimeoutError.
        """
        if self._closed:
            raise CameraLostError(f"{self.name}: is closed; open it again")
        return self._lock_exposure_impl()

    def close(self) -> None:
        """Give the device back; may be called twice."""
        if not self._closed:
            self._closed = True
            self._close_impl()

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @abstractmethod
    def _read_impl(self, timeout_ms: int) -> tuple[object, int, str]:
        """(image, monotonic nanoseconds of its exposure, what a person would call it)."""

    def _lock_exposure_impl(self) -> CameraSettings | None:
        return None

    @abstractmethod
    def _close_impl(self) -> None: ...
