"""A camera that is opened again after it was lost, as often as it takes, without a restart."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from edge.cameras.base import Camera
from edge.clock import Clock
from edge.errors import CameraLostError, CameraOpenError
from edge.frame import Frame
from edge.supervision.backoff import Backoff


class LastingCamera:
    """``camera``, and what ``reopen`` gives after it is lost; ``Backoff`` says when that is tried."""

    def __init__(self, camera: Camera, reopen: Callable[[], Camera], clock: Clock) -> None:
        self._camera: Camera | None = camera
        self._reopen, self._wanted, self._clock = reopen, reopen, clock
        self.name, self.live = camera.name, camera.live
        self._backoff, self._next_ns, self._last_error = Backoff(), 0, ""

    @property
    def retry_in_ns(self) -> int:
        """How long until it is worth to read again; 0 where it is open or may be tried at once."""
        if self._camera is not None or self._wanted is not self._reopen:
            return 0
        return max(0, self._next_ns - self._clock.monotonic_ns())

    def change(self, reopen: Callable[[], Camera]) -> None:
        """From the next read on, what ``reopen`` gives of the same device; any thread. The reading one closes and opens."""
        self._wanted = reopen

    def read(self, timeout_ms: int) -> Frame:
        """As Camera.read; where the camera is lost, it is opened again first when that is due, and else CameraLostError raised."""
        camera = self.reopen()
        try:
            frame = camera.read(timeout_ms)
            self._backoff.opened(self._clock.monotonic_ns())
            return frame
        except CameraLostError:
            self._give_up()
            raise

    def close(self) -> None:
        """Give the device back; may be called twice."""
        if self._camera is not None:
            self._camera.close()

    def _give_up(self) -> None:
        camera, self._camera = self._camera, None
        if camera is not None:
            with suppress(Exception):  # it is lost already, and the next one is waited for
                camera.close()
        self._wait()
        self._last_error = f"{self.name}: is lost"

    def reopen(self) -> Camera:
        """The open camera; raises CameraLostError where it is lost and cannot be opened again, or not yet."""
        wanted = self._wanted
        if wanted is not self._reopen:
            camera, self._camera, self._reopen = self._camera, None, wanted
            self._backoff, self._next_ns = Backoff(), 0
            if camera is not None:
                with suppress(Exception):  # what does not close shows when it is opened
                    camera.close()
        if self._camera is not None:
            return self._camera
        if self.retry_in_ns > 0:
            raise CameraLostError(f"{self._last_error}; it is tried again")
        try:
            self._camera = self._reopen()
        except CameraOpenError as error:
            self._wait()
            self._last_error = str(error)
            raise CameraLostError(str(error)) from error
        return self._camera

    def _wait(self) -> None:
        now = self._clock.monotonic_ns()
        self._next_ns = now + self._backoff.failed(now)
