"""From what a person writes (0, /dev/video2, csi://0, inspect, file://folder, a video file) to an open camera."""

from __future__ import annotations

import re
from pathlib import Path

from edge.cameras.base import Camera
from edge.cameras.camera_settings import CameraSettings
from edge.cameras.csi import open_csi
from edge.cameras.image_folder import ImageFolderCamera
from edge.cameras.shared_frames import SharedFrames
from edge.cameras.v4l2 import open_v4l2
from edge.cameras.video import VideoFileCamera
from edge.clock import Clock
from edge.errors import CameraError, CameraOpenError
from edge.station_config import CameraConfig

SHARED = "inspect"
NUMBERED = re.compile(r"/dev/video[0-9]+")
FORMS = "0, /dev/video2, csi://0, inspect (the pictures of a running edge-inspect), file://folder or a video file"


def video_device(config: CameraConfig) -> Path | None:
    """The device file that ``config.source`` names by its number; None for any other source, links such as /dev/v4l/by-id too."""
    source = config.source.strip()
    if source.isdecimal():
        return Path(f"/dev/video{int(source)}")
    return Path(source) if NUMBERED.fullmatch(source) else None


def open_camera(config: CameraConfig, clock: Clock, shared: Path | None = None) -> Camera:
    """Open ``config.source``; raises CameraOpenError saying what is wrong and what to do.

    shared: where a running edge-inspect would share its pictures.
    """
    source = config.source.strip()
    if source == SHARED:
        if shared is None:
            raise CameraOpenError(f"camera {SHARED}: this command reads no shared pictures; name the camera itself")
        return SharedFrames(shared, clock)
    if (device := video_device(config)) is not None:
        return open_v4l2(device, config, clock)
    scheme, separator, rest = source.partition("://")
    if separator and scheme == "csi":
        if not rest.isdecimal():
            raise CameraOpenError(f"camera {source!r}: expected csi:// and a number, such as csi://0")
        return open_csi(int(rest), config, clock)
    if separator and scheme != "file":
        raise CameraOpenError(f"camera {source!r}: unknown kind `{scheme}`; expected {FORMS}")
    path = Path(rest if separator else source)
    if not separator and path.is_absolute() and path.parts[:2] == ("/", "dev"):
        return open_v4l2(path, config, clock)
    if path.is_dir():
        return ImageFolderCamera(path, clock)
    if path.is_file():
        return VideoFileCamera(path, clock)
    raise CameraOpenError(f"camera {source!r} does not exist; expected {FORMS}")


def open_calibrated_camera(
    config: CameraConfig, clock: Clock, expected: CameraSettings | None, shared: Path | None = None
) -> Camera:
    """Open it with the exposure, gain and white balance that the calibration was made with, and hold them.

    expected: what the images were taken with, None where that is not known; then the camera is as the station has it. A folder or a
    recording has no exposure of its own and is taken as it is. Raises CameraOpenError where the settings are others, or not held.
    """
    camera = open_camera(config.with_settings(expected), clock, shared)
    if expected is None or not camera.live:
        return camera
    try:
        actual = camera.lock_exposure()
        if actual is None or not actual.keeps(expected):
            has = "does not hold or tell its exposure" if actual is None else f"has {actual.describe()}"
            raise CameraOpenError(
                f"camera {camera.name}: was calibrated with {expected.describe()}, now it {has}; "
                "correct `camera:` in the station file, or calibrate again"
            )
    except BaseException as error:
        camera.close()
        if isinstance(error, CameraError):  # lost or late, before it was held
            raise CameraOpenError(str(error)) from error
        raise
    return camera
