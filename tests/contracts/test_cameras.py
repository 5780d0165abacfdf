"""One suite over every camera. A live camera is a real capture of a video file, read by the same thread as a device."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.cameras.base import Camera
from edge.cameras.camera_settings import CameraSettings
from edge.cameras.image_folder import ImageFolderCamera
from edge.cameras.live_capture import LiveCamera
from edge.cameras.open_camera import open_camera
from edge.cameras.recorded import RecordedCamera
from edge.cameras.shared_frames import SharedFrames
from edge.cameras.video import VideoFileCamera
from edge.capture.frame_server import FrameServer, SharedCamera
from edge.clock import SystemClock
from edge.errors import CameraLostError, CameraOpenError, EndOfStream, FrameError
from edge.line.station_view import View
from edge.records.recorded_run import FRAMES as RECORDED_FRAMES
from edge.records.recorded_run import RecordedPart, RecordedRun, RecordedVerdict, RunHeader, pixels_sha256
from edge.station_config import CameraConfig
from tests.tiny_bundle import part_image

CLOCK = SystemClock()
FRAMES = 5


def write_video(path: Path) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (96, 96))
    for seed in range(FRAMES):
        writer.write(part_image(seed))
    writer.release()
    return path


def folder_camera(tmp_path: Path) -> Camera:
    (tmp_path / "frames").mkdir()
    for seed in range(FRAMES):
        cv2.imwrite(str(tmp_path / "frames" / f"{seed}.png"), part_image(seed))
    return ImageFolderCamera(tmp_path / "frames", CLOCK)


def video_camera(tmp_path: Path) -> Camera:
    return VideoFileCamera(write_video(tmp_path / "video.avi"), CLOCK)


def live_camera(tmp_path: Path) -> Camera:
    return LiveCamera("live", cv2.VideoCapture(str(write_video(tmp_path / "video.avi"))), CLOCK)


class ServedFrames(SharedFrames):
    """What a live inspection shares, together with that inspection: its pictures end as it ends."""

    def __init__(self, tmp_path: Path) -> None:
        path = tmp_path / "frames.sock"
        self._server = FrameServer(path, CLOCK)
        self._inspected = SharedCamera(live_camera(tmp_path), self._server, SETTINGS)
        super().__init__(path, CLOCK)
        self._one_came = threading.Event()
        self._inspecting = threading.Thread(target=self._inspect)
        self._inspecting.start()

    def _inspect(self) -> None:
        with contextlib.suppress(CameraLostError), self._inspected:
            while True:
                self._inspected.read(5000)
        self._one_came.wait(5)
        self._server.close()

    def _read_impl(self, timeout_ms: int) -> tuple[object, int, str]:
        read = super()._read_impl(timeout_ms)
        self._one_came.set()
        return read

    def _lock_exposure_impl(self) -> CameraSettings | None:
        settings = super()._lock_exposure_impl()
        self._one_came.set()
        return settings

    def _close_impl(self) -> None:
        super()._close_impl()
        self._one_came.set()
        self._inspecting.join()


def recorded_camera(tmp_path: Path) -> Camera:
    (tmp_path / RECORDED_FRAMES).mkdir()
    header = RunHeader(
        format_version=1, product="", started=0, camera="live", model_id="tiny", model_sha256="", precision="fp32", runtime="",
        view=View(region=None, ignore_mask_sha256=None), station={},
    )  # fmt: skip
    passed = RecordedVerdict(outcome="PASS", reason="", decided_ns=0, wall_ns=0, threshold=None, scores=None)
    parts = []
    for seed in range(FRAMES):
        cv2.imwrite(str(tmp_path / RECORDED_FRAMES / f"{seed:09d}.png"), part_image(seed))
        parts.append(
            RecordedPart(
                seq=seed + 2, kind="part", part_id=seed, trigger_ns=0, exposed_ns=0, counts=None, source=f"live#{seed}",
                frame=f"{seed:09d}.png", sha256=pixels_sha256(part_image(seed)), calibration_serial=1, verdict=passed,
            )
        )  # fmt: skip
    return RecordedCamera(RecordedRun(tmp_path, header, parts, None), CLOCK)


CAMERAS = {"folder": folder_camera, "video": video_camera, "live": live_camera, "shared": ServedFrames, "recorded": recorded_camera}
SETTINGS = CameraSettings(exposure_us=8000, gain=3)


@pytest.fixture(params=CAMERAS)
def camera(request: pytest.FixtureRequest, tmp_path: Path) -> Camera:
    make: Callable[[Path], Camera] = CAMERAS[request.param]
    return make(tmp_path)


def test_frames_are_bgr_counted_named_and_timed(camera: Camera) -> None:
    before = CLOCK.monotonic_ns()
    with camera:
        frame = camera.read(5000)
    assert frame.image.shape == (96, 96, 3)
    assert frame.image.dtype == np.uint8
    assert frame.index == 0
    assert frame.source
    assert frame.exposed_ns <= CLOCK.monotonic_ns()
    assert camera.live or before <= frame.exposed_ns


def test_it_ends_by_saying_so_and_keeps_saying_so(camera: Camera) -> None:
    seen = 0
    with camera:
        with pytest.raises((EndOfStream, CameraLostError)) as end:
            while True:
                camera.read(5000)
                seen += 1
        assert 1 <= seen <= FRAMES
        assert camera.live or seen == FRAMES
        with pytest.raises(end.type):
            camera.read(100)


def test_what_the_exposure_is_locked_to_is_told_or_none(camera: Camera) -> None:
    with camera:
        try:
            settings = camera.lock_exposure()
        except CameraLostError:  # a recording that stands for a live camera may be over
            assert camera.live
        else:
            assert settings == (SETTINGS if isinstance(camera, ServedFrames) else None)
    with pytest.raises(CameraLostError, match="is closed"):
        camera.lock_exposure()


def test_a_closed_camera_is_lost_and_may_be_closed_again(camera: Camera) -> None:
    camera.close()
    camera.close()
    with pytest.raises(CameraLostError, match="is closed"):
        camera.read(100)


def test_a_broken_file_is_one_bad_frame_not_the_end(tmp_path: Path) -> None:
    camera = folder_camera(tmp_path)
    (tmp_path / "frames" / "1.png").write_bytes(b"broken")
    camera.read(100)
    with pytest.raises(FrameError, match=r"1\.png"):
        camera.read(100)
    assert camera.read(100).index == 2


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("99", "/dev/video99 does not exist"),
        ("/dev/video98", "/dev/video98 does not exist"),
        ("csi://0", "needs an OpenCV with GStreamer"),
        ("csi://left", "such as csi://0"),
        ("rtsp://camera", "unknown kind `rtsp`"),
        ("file:///nowhere", "does not exist; expected 0, /dev/video2"),
        ("nowhere.mp4", "does not exist"),
        ("inspect", "reads no shared pictures"),
    ],
)
def test_a_camera_that_does_not_open_says_why(source: str, message: str) -> None:
    with pytest.raises(CameraOpenError) as error:
        open_camera(CameraConfig(source=source), CLOCK)
    assert message in str(error.value)


def test_files_that_are_no_recording_do_not_open(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.avi").write_text("not a video")
    for source in (tmp_path / "empty", tmp_path / "text.avi"):
        with pytest.raises(CameraOpenError):
            open_camera(CameraConfig(source=f"file://{source}"), CLOCK)


def test_a_device_file_that_is_not_a_camera(tmp_path: Path) -> None:
    with pytest.raises(CameraOpenError, match="/dev/null"):
        open_camera(CameraConfig(source="/dev/null"), CLOCK)
