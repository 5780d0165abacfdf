"""A live cv2.VideoCapture read by a thread of its own, so that a slow reader gets the newest frame and never waits for ever."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Protocol

import numpy as np

from edge.cameras.base import Camera
from edge.cameras.camera_settings import CameraSettings
from edge.cameras.driver_stamps import DriverStamps
from edge.clock import Clock
from edge.errors import CameraLostError, CameraOpenError, CameraTimeoutError, FrameError
from edge.pictures.still_picture import StillPicture

logger = logging.getLogger(__name__)


class Capture(Protocol):
    """What is used of cv2.VideoCapture."""

    def read(self) -> tuple[bool, object]:
        """(True, image), or False when the device is gone."""
        ...

    def release(self) -> None:
        """Give the device back."""
        ...


class Signal(Protocol):
    """An InputSignal."""

    def missing(self) -> str:
        """What the camera's input lacks now; empty where nothing."""
        ...

    def close(self) -> None:
        """Give it back."""
        ...


class LiveCamera(Camera):
    """Keeps only the newest frame. V4L2 queues four; who reads slowly without this sees parts that have long passed.

    lock: holds the exposure of ``capture`` and tells its settings. stamp_ms: the driver's time stamp of the frame last read, None
    where ``capture`` has none; where it cannot be believed that is said once, and the time of arrival counts. Both are called by
    the thread that reads, as drivers want it. signal: closed with ``capture``; a frame that came without is not usable.
    """

    live = True
    JOIN_SECONDS = 3.0
    LOCK_SECONDS = 10.0

    def __init__(
        self,
        name: str,
        capture: Capture,
        clock: Clock,
        lock: Callable[[], CameraSettings | None] = lambda: None,
        stamp_ms: Callable[[], float] | None = None,
        signal: Signal | None = None,
    ) -> None:
        super().__init__(name)
        self._lock, self._stamp_ms, self._signal = lock, stamp_ms, signal
        self._stamps, self._told = DriverStamps(), False
        self._still = StillPicture()
        self._asked: Future[CameraSettings | None] | None = None
        self._clock = clock
        self._capture = capture
        self._changed = threading.Condition()
        self._newest: tuple[object, int, int | None, int, str] | None = None
        self._lost: str | None = None
        self._stopping = False
        self._given = 0
        self._thread = threading.Thread(target=self._keep_newest, name=f"camera {name}", daemon=True)
        self._thread.start()

    def _keep_newest(self) -> None:
        reason = "the camera gives no more frames"
        try:
            while not self._stopping:
                self._lock_where_asked()
                ok, image = self._capture.read()
                if not ok:
                    break
                exposed_ns, driver_ns = self._stamped(self._clock.monotonic_ns())
                # Of every frame: a picture that froze after one part was judged looks new to the next.
                still_ns = self._still.still_ns(image, exposed_ns) if isinstance(image, np.ndarray) else 0
                missing = self._signal.missing() if self._signal is not None else ""
                with self._changed:
                    self._newest = (image, exposed_ns, driver_ns, still_ns, missing)
                    self._changed.notify_all()
        except Exception as error:  # whatever a driver throws ends this camera, not the process
            reason = f"reading failed: {error}"
        finally:
            # Released by the thread that reads: releasing under a blocked read crashes some drivers.
            self._capture.release()
            if self._signal is not None:
                self._signal.close()
            with self._changed:
                self._lost = reason
                if self._asked is not None:
                    self._asked.set_exception(CameraLostError(f"{self.name}: {reason}; check its cable and power"))
                    self._asked = None
                self._changed.notify_all()

    def _stamped(self, arrived_ns: int) -> tuple[int, int | None]:
        if self._stamp_ms is None:
            return arrived_ns, None
        stamp_ms = self._stamp_ms()
        taken = self._stamps.take(stamp_ms, arrived_ns)
        if not self._stamps.trusted and not self._told:
            self._told = True
            logger.warning(
                "%s: the driver's time stamp (%.3f s) is not of the monotonic clock (%.3f s): a frame's time is that of its "
                "arrival and may lie long after its exposure; set timing: exposure_lead_ms for a trigger",
                self.name, stamp_ms / 1e3, arrived_ns / 1e9,
            )  # fmt: skip
        return taken

    def _lock_where_asked(self) -> None:
        with self._changed:
            asked, self._asked = self._asked, None
        if asked is None:
            return
        try:
            settings = self._lock()
        except CameraOpenError as error:
            asked.set_exception(error)
        except BaseException as error:
            asked.set_exception(CameraLostError(f"{self.name}: locking the exposure failed: {error}; check its cable and power"))
            raise
        else:
            with self._changed:
                self._newest = None  # taken before
            asked.set_result(settings)

    def _lock_exposure_impl(self) -> CameraSettings | None:
        asked: Future[CameraSettings | None] = Future()
        with self._changed:
            if self._lost is not None:
                raise CameraLostError(f"{self.name}: {self._lost}; check its cable and power")
            self._asked = asked
        try:
            return asked.result(self.LOCK_SECONDS)
        except FutureTimeoutError as error:
            raise CameraTimeoutError(
                f"{self.name}: the exposure was not locked within {self.LOCK_SECONDS:g} s, no frame comes; check trigger and cable"
            ) from error

    def _read_impl(self, timeout_ms: int) -> tuple[object, int, str]:
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._lost is not None, timeout_ms / 1000)
            if self._newest is None and self._lost is not None:
                raise CameraLostError(f"{self.name}: {self._lost}; check its cable and power")
            if self._newest is None:
                raise CameraTimeoutError(f"{self.name}: no frame within {timeout_ms} ms; check trigger, exposure and cable")
            (image, exposed_ns, self._driver_ns, self._still_ns, missing), self._newest = self._newest, None
        source = f"{self.name}#{self._given}"
        self._given += 1
        if missing:
            raise FrameError(f"{source}: {missing}")
        return image, exposed_ns, source

    def _close_impl(self) -> None:
        self._stopping = True
        self._thread.join(self.JOIN_SECONDS)  # a driver that blocks for longer ends with the process
