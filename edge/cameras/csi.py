"""A CSI camera of a Jetson, through GStreamer and the Argus driver. Never run here: it needs JetPack's cv2 and a sensor."""

from __future__ import annotations

import cv2

from edge.cameras.camera_settings import CameraSettings
from edge.cameras.live_capture import LiveCamera
from edge.clock import Clock
from edge.errors import CameraOpenError
from edge.station_config import CameraConfig


def csi_pipeline(sensor: int, config: CameraConfig) -> str:
    """The GStreamer pipeline: exposure locked, the newest frame only, BGR for OpenCV. Argus takes nanoseconds."""
    source = f"nvarguscamerasrc sensor-id={sensor} aelock=true awblock=true"
    if config.exposure_us is not None:
        exposure_ns = round(config.exposure_us * 1000)
        source += f' exposuretimerange="{exposure_ns} {exposure_ns}"'
    if config.gain is not None:
        source += f' gainrange="{config.gain:g} {config.gain:g}"'
    caps = "video/x-raw(memory:NVMM), format=NV12"
    if config.width is not None and config.height is not None:
        caps += f", width={config.width}, height={config.height}"
    if config.frames_per_second is not None:
        caps += f", framerate={round(config.frames_per_second * 1000)}/1000"
    return (
        f"{source} ! {caps} ! nvvidconv ! video/x-raw, format=BGRx ! videoconvert ! video/x-raw, format=BGR ! "
        "appsink drop=true max-buffers=1 sync=false"
    )


def open_csi(sensor: int, config: CameraConfig, clock: Clock) -> LiveCamera:
    """Open CSI sensor number ``sensor``; raises CameraOpenError, also where this cv2 has no GStreamer."""
    if not has_gstreamer(cv2.getBuildInformation()):
        raise CameraOpenError(
            f"csi://{sensor} needs an OpenCV with GStreamer, this one ({cv2.__version__}) has none; "
            "use JetPack's cv2 (a venv with --system-site-packages) and uninstall the OpenCV wheel"
        )
    if config.white_balance_k is not None:
        raise CameraOpenError(f"csi://{sensor}: a white balance in kelvin cannot be set there; remove white_balance_k")
    capture = cv2.VideoCapture(csi_pipeline(sensor, config), cv2.CAP_GSTREAMER)
    if not capture.isOpened():
        raise CameraOpenError(f"csi://{sensor} does not open; check the ribbon cable, the sensor's overlay and nvargus-daemon")
    return LiveCamera(f"csi://{sensor}", capture, clock, lambda: _settings(config))


def _settings(config: CameraConfig) -> CameraSettings | None:
    """Argus is locked from the start and tells nothing back, so the settings are known only where the station names them."""
    if config.exposure_us is None and config.gain is None:
        return None
    return CameraSettings(exposure_us=config.exposure_us, gain=config.gain)


def has_gstreamer(build_information: str) -> bool:
    """Whether an OpenCV that says this of itself was built with GStreamer."""
    lines = [line.split(":", 1)[1].strip() for line in build_information.splitlines() if line.strip().startswith("GStreamer:")]
    return bool(lines) and lines[0].startswith("YES")
