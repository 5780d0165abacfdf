"""A USB or other V4L2 camera, by device file."""

from __future__ import annotations

import os
from pathlib import Path

import cv2

from edge.cameras.live_capture import LiveCamera
from edge.clock import Clock
from edge.errors import CameraOpenError
from edge.station_config import CameraConfig

MANUAL_EXPOSURE = 1.0
SETTLING_FRAMES = 5
TOLERANCE = 0.02


def open_v4l2(device: Path, config: CameraConfig, clock: Clock) -> LiveCamera:
    """Open ``device``, apply ``config`` and read it back; raises CameraOpenError where the camera does not comply."""
    # OpenCV waits ten seconds for a stalled camera unless told otherwise; it reads this when the device is opened.
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "2")
    if not device.exists():
        present = ", ".join(sorted(str(p) for p in Path("/dev").glob("video*"))) or "none"
        raise CameraOpenError(f"camera {device} does not exist (present: {present}); connect it or correct --camera")
    if not os.access(device, os.R_OK | os.W_OK):
        raise CameraOpenError(f"camera {device}: no permission; add this user to the group `video`")
    capture = cv2.VideoCapture(str(device), cv2.CAP_V4L2)
    if not capture.isOpened():
        raise CameraOpenError(f"camera {device} does not open; is another program using it, or is it not a capture device?")
    try:
        _apply(capture, config, str(device))
    except CameraOpenError:
        capture.release()
        raise
    return LiveCamera(str(device), capture, clock)


def _apply(capture: cv2.VideoCapture, config: CameraConfig, device: str) -> None:
    requests = (
        ("width", cv2.CAP_PROP_FRAME_WIDTH, config.width),
        ("height", cv2.CAP_PROP_FRAME_HEIGHT, config.height),
        ("frames_per_second", cv2.CAP_PROP_FPS, config.frames_per_second),
    )
    for _, prop, value in requests:
        if value is not None:
            capture.set(prop, float(value))
    if config.exposure is not None:
        # Some cameras take a manual exposure only once they stream.
        capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, MANUAL_EXPOSURE)
        for _ in range(SETTLING_FRAMES):
            capture.grab()
        capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, MANUAL_EXPOSURE)
        capture.set(cv2.CAP_PROP_EXPOSURE, config.exposure)
    if config.gain is not None:
        capture.set(cv2.CAP_PROP_GAIN, config.gain)
    checks = (
        *requests,
        ("exposure", cv2.CAP_PROP_EXPOSURE, config.exposure),
        ("gain", cv2.CAP_PROP_GAIN, config.gain),
    )
    for name, prop, wanted in checks:
        if wanted is None:
            continue
        actual = capture.get(prop)
        if abs(actual - wanted) > TOLERANCE * max(1.0, abs(wanted)):
            raise CameraOpenError(f"camera {device}: asked for {name} {wanted:g}, it gives {actual:g}; choose a value it supports")
