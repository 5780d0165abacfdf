"""The camera: opens, delivers, at which rate and how late, with its exposure held."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import cv2

from edge.cameras.base import Camera
from edge.cameras.csi import has_gstreamer
from edge.cameras.open_camera import SHARED, open_calibrated_camera
from edge.capture.frame_sharing import SOCKET
from edge.clock import Clock
from edge.doctor.finding import Findings
from edge.errors import EndOfStream
from edge.frame import Frame
from edge.slots.calibration_slot import CalibrationSlot
from edge.station_config import StationConfig
from edge.storage.private_socket import is_served

FRAMES = 20
SLOW_SHARE = 0.8


def check_camera(station: StationConfig, slot: CalibrationSlot | None, state: Path, clock: Clock, findings: Findings) -> None:
    """A few frames from it; one that a running edge-inspect holds is read through that, and left alone."""
    config = station.camera
    gstreamer = has_gstreamer(cv2.getBuildInformation())
    if config.source.startswith("csi://") and not gstreamer:
        findings.failed("OpenCV", f"{cv2.__version__} has no GStreamer, which a CSI camera needs",
                        "use JetPack's cv2 (a venv with --system-site-packages) and uninstall the OpenCV wheel")  # fmt: skip
        return
    findings.ok("OpenCV", f"{cv2.__version__}, {'with' if gstreamer else 'without'} GStreamer")
    with findings.of("camera"):
        held = is_served(state / SOCKET)
        if held:
            config = config.model_copy(update={"source": SHARED})
        expected = slot.record.camera_settings if slot is not None else None
        with open_calibrated_camera(config, clock, expected, state / SOCKET) as camera:
            frames, ages_ms, seconds = _read(camera, config.read_timeout_ms, clock)
            if not frames:
                findings.failed("camera", f"{camera.name}: has no pictures", "correct `camera: source:`")
                return
            _tell_rate(camera, frames, seconds, config.frames_per_second, held, findings)
            if camera.live and not held:
                _tell_latency(median(ages_ms), config.max_age_ms, findings)
            if camera.live and expected is not None:
                findings.ok("exposure", f"held as calibrated: {expected.describe()}")
            elif camera.live and slot is not None:
                findings.warning("exposure", "the calibration was made with settings that are not known, so none are held",
                                 "calibrate from the camera: calibrate --camera")  # fmt: skip


def _read(camera: Camera, timeout_ms: int, clock: Clock) -> tuple[list[Frame], list[float], float]:
    """Frames, how old each was when it was at hand in milliseconds, and the seconds from the first to the last."""
    frames: list[Frame] = []
    ages_ms: list[float] = []
    started = clock.monotonic_ns()
    try:
        while len(frames) < FRAMES:
            frames.append(camera.read(timeout_ms))
            now = clock.monotonic_ns()
            ages_ms.append((now - frames[-1].exposed_ns) / 1e6)
            if len(frames) == 1:
                started = now  # the first one may wait for the sensor
    except EndOfStream:
        pass
    return frames, ages_ms, (clock.monotonic_ns() - started) / 1e9


def _tell_latency(age_ms: float, most_ms: int, findings: Findings) -> None:
    words = f"{age_ms:.0f} ms from the driver's time stamp until a picture is at hand"
    if age_ms >= most_ms:
        findings.failed("camera latency", f"{words}, `camera: max_age_ms` allows {most_ms}: every part would be a FAULT",
                        "take a smaller picture, another pixel format or port, or allow more where the line can wait")  # fmt: skip
    else:
        findings.ok("camera latency", words)


def _tell_rate(camera: Camera, frames: list[Frame], seconds: float, wanted: float | None, held: bool, findings: Findings) -> None:
    height, width = frames[0].image.shape[:2]
    words = f"{camera.name}: {width}×{height}" + ("; held by edge-inspect, which runs" if held else "")
    if not camera.live or len(frames) < 2:
        findings.ok("camera", words)
        return
    rate = (len(frames) - 1) / max(seconds, 1e-9)
    words += f", {rate:.1f} pictures a second"
    if wanted is not None and not held and rate < SLOW_SHARE * wanted:
        findings.warning("camera", f"{words}, {wanted:g} were asked for", "shorten the exposure, or check cable and USB port")
    else:
        findings.ok("camera", words)
