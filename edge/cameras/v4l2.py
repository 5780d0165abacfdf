"""A USB or other V4L2 camera, by device file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2

from edge.cameras.camera_settings import CameraSettings, alike
from edge.cameras.live_capture import LiveCamera
from edge.cameras.v4l2_autogain import stop_autogain
from edge.cameras.v4l2_signal import InputSignal
from edge.clock import Clock
from edge.errors import CameraOpenError
from edge.station_config import CameraConfig

SETTLING_FRAMES = 5
ABSENT = -1.0
"""What OpenCV answers for a control that a camera has not."""


@dataclass(frozen=True)
class Automatic:
    """The control that sets another by itself, and the value that stops it."""

    prop: int
    off: float


@dataclass(frozen=True)
class Control:
    """unit: times what the driver counts in it is our unit. positive: 0 is no value."""

    prop: int
    unit: float
    automatic: Automatic | None
    positive: bool


CONTROLS = {
    # V4L2 counts an absolute exposure in 100 µs; 1 is V4L2_EXPOSURE_MANUAL.
    "exposure_us": Control(cv2.CAP_PROP_EXPOSURE, 100.0, Automatic(cv2.CAP_PROP_AUTO_EXPOSURE, 1.0), positive=True),
    "gain": Control(cv2.CAP_PROP_GAIN, 1.0, None, positive=False),
    "white_balance_k": Control(cv2.CAP_PROP_WB_TEMPERATURE, 1.0, Automatic(cv2.CAP_PROP_AUTO_WB, 0.0), positive=True),
}
"""By their names in CameraSettings."""


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
    return LiveCamera(
        str(device), capture, clock, lambda: lock_v4l2(capture, str(device)), lambda: capture.get(cv2.CAP_PROP_POS_MSEC),
        InputSignal(device),
    )  # fmt: skip


def _apply(capture: cv2.VideoCapture, config: CameraConfig, device: str) -> None:
    requests = (
        ("width", cv2.CAP_PROP_FRAME_WIDTH, config.width),
        ("height", cv2.CAP_PROP_FRAME_HEIGHT, config.height),
        ("frames_per_second", cv2.CAP_PROP_FPS, config.frames_per_second),
    )
    for _, prop, value in requests:
        if value is not None:
            capture.set(prop, float(value))
    for name, prop, value in requests:
        if value is not None and not alike(capture.get(prop), value):
            raise CameraOpenError(
                f"camera {device}: asked for {name} {value:g}, it gives {capture.get(prop):g}; choose a value it supports"
            )
    _set_controls(capture, config, device)


def _set_controls(capture: cv2.VideoCapture, config: CameraConfig | CameraSettings, device: str) -> None:
    """Exposure, gain and white balance to what ``config`` names, the automatics off; read back."""
    wanted = {name: value for name in CONTROLS if (value := getattr(config, name)) is not None}
    if not wanted:
        return
    if "gain" in wanted:
        stop_autogain(Path(device))
    _stop_automatics(capture, wanted)
    # Some cameras take manual values only once they stream.
    _grab(capture)
    _stop_automatics(capture, wanted)
    for name, value in wanted.items():
        capture.set(CONTROLS[name].prop, value / CONTROLS[name].unit)
    _check(capture, wanted, device)


def _stop_automatics(capture: cv2.VideoCapture, wanted: dict[str, float]) -> None:
    for name in wanted:
        if (automatic := CONTROLS[name].automatic) is not None:
            capture.set(automatic.prop, automatic.off)


def _check(capture: cv2.VideoCapture, wanted: dict[str, float], device: str) -> None:
    for name, value in wanted.items():
        control = CONTROLS[name]
        actual = capture.get(control.prop)
        if not alike(actual * control.unit, value):
            has = f"it gives {actual * control.unit:g}" if actual != ABSENT else "it has no such control"
            raise CameraOpenError(f"camera {device}: asked for {name} {value:g}, {has}; choose a value it supports")
        if control.automatic is not None and capture.get(control.automatic.prop) not in (control.automatic.off, ABSENT):
            raise CameraOpenError(
                f"camera {device}: does not take a manual {name}, its automatic stays on; update its firmware or use another"
            )


def lock_v4l2(capture: cv2.VideoCapture, device: str) -> CameraSettings | None:
    """Take the values that the automatics have found and hold them; None for a camera without such controls.

    Raises CameraOpenError where it does not obey. For the thread that reads ``capture``.
    """
    present = {name: capture.get(control.prop) * control.unit for name, control in CONTROLS.items() if _has(capture, control)}
    if not present:
        return None
    settings = CameraSettings.model_validate(present)
    _set_controls(capture, settings, device)
    _grab(capture)  # exposed before
    _check(capture, present, device)  # an automatic that goes on has moved them by now
    return settings


def _has(capture: cv2.VideoCapture, control: Control) -> bool:
    value = capture.get(control.prop)
    return value != ABSENT and (value > 0 or not control.positive)


def _grab(capture: cv2.VideoCapture) -> None:
    for _ in range(SETTLING_FRAMES):
        capture.grab()
