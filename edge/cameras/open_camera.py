"""From what a person writes (0, /dev/video2, csi://0, file://folder, a video file) to an open camera."""

from __future__ import annotations

from pathlib import Path

from edge.cameras.base import Camera
from edge.cameras.csi import open_csi
from edge.cameras.image_folder import ImageFolderCamera
from edge.cameras.v4l2 import open_v4l2
from edge.cameras.video import VideoFileCamera
from edge.clock import Clock
from edge.errors import CameraOpenError
from edge.station_config import CameraConfig

FORMS = "0, /dev/video2, csi://0, file://folder or a video file"


def open_camera(config: CameraConfig, clock: Clock) -> Camera:
    """Open ``config.source``; raises CameraOpenError saying what is wrong and what to do."""
    source = config.source.strip()
    if source.isdecimal():
        return open_v4l2(Path(f"/dev/video{int(source)}"), config, clock)
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
