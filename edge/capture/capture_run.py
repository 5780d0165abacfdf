"""From a camera into a session, frame by frame, until there are enough."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from edge.cameras.base import Camera
from edge.cameras.camera_settings import CameraSettings
from edge.cameras.open_camera import SHARED, open_camera
from edge.capture.capture_gates import Skip
from edge.capture.capture_session import CaptureSession
from edge.capture.capture_trigger import CaptureTrigger
from edge.clock import Clock
from edge.errors import CameraError, CameraOpenError, CameraTimeoutError, EndOfStream, FrameError
from edge.frame import Image
from edge.pictures.image_quality import image_quality, reduced
from edge.station_config import CameraConfig
from edge.storage.private_socket import is_served

MOST_MISSES = 5
"""Reads in a row without a frame; then the camera is dead."""
MOST_OLD = 30
"""Pictures that the camera had ready before the part came; one that gives more has another clock."""
SETTLING_NS = 3_000_000_000
"""An automatic exposure has so long to find its value before it is held."""
STEADY_FRAMES = 10
STEADY = 0.01
Shown = Callable[[CaptureSession, Skip | None], None]


def open_for_capture(
    config: CameraConfig, clock: Clock, shared: Path, lock: bool, stop: threading.Event
) -> tuple[Camera, CameraSettings | None]:
    """(camera, what it is locked to). shared: where a running edge-inspect shares its pictures, which the error then suggests."""
    try:
        camera = open_camera(config, clock, shared)
    except CameraOpenError as error:
        if config.source.strip() != SHARED and is_served(shared):
            message = str(error).removesuffix("?")
            raise CameraOpenError(f"{message}; edge-inspect is running: --camera {SHARED} takes its pictures") from error
        raise
    try:
        if not lock or not camera.live:
            return camera, None
        if config.source.strip() != SHARED:
            _settle(camera, clock, config.read_timeout_ms, stop)
        return camera, camera.lock_exposure()
    except CameraOpenError as error:
        camera.close()
        raise CameraOpenError(f"{error}; or say --no-lock and take pictures in changing exposure") from error
    except BaseException:
        camera.close()
        raise


def take_pictures(
    session: CaptureSession,
    camera: Camera,
    trigger: CaptureTrigger,
    stop: threading.Event,
    frames: int | None,
    read_timeout_ms: int,
    show: Shown,
) -> None:
    """Until ``frames`` more are kept, ``stop`` is set, or trigger or source end. A folder or recording is read without trigger.

    Raises CameraLostError, and the error of the camera where it fails five times in a row; what was kept stays.
    """
    goal = None if frames is None else session.kept + frames
    misses = 0
    while not stop.is_set() and (goal is None or session.kept < goal):
        if camera.live and not trigger.wait(stop):
            return
        try:
            skip = session.offer(_exposed_after(trigger.after_ns, camera, read_timeout_ms))
            misses = 0
        except EndOfStream:
            return
        except (FrameError, CameraTimeoutError) as error:
            skip = Skip.UNUSABLE if isinstance(error, FrameError) else Skip.NO_FRAME
            session.count(skip)
            misses += 1
            if camera.live and misses >= MOST_MISSES:
                raise
        show(session, skip)


def _exposed_after(after_ns: int, camera: Camera, timeout_ms: int) -> Image:
    for _ in range(MOST_OLD):
        frame = camera.read(timeout_ms)
        if not camera.live or frame.exposed_ns >= after_ns:
            return frame.image
    raise CameraTimeoutError(
        f"{camera.name}: {MOST_OLD} pictures in a row were exposed before the part came; check trigger and clock"
    )


def _settle(camera: Camera, clock: Clock, timeout_ms: int, stop: threading.Event) -> None:
    """Until the brightness has been steady for some frames, or three seconds."""
    until_ns = clock.monotonic_ns() + SETTLING_NS
    last: list[float] = []
    while clock.monotonic_ns() < until_ns and not stop.is_set():
        try:
            image = camera.read(timeout_ms).image
        except FrameError:
            continue
        except CameraError as error:
            raise CameraOpenError(str(error)) from error
        last = [*last, image_quality(reduced(image, 64)).brightness][-STEADY_FRAMES:]
        if len(last) == STEADY_FRAMES and max(last) - min(last) < STEADY:
            return
