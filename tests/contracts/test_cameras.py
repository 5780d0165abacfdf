"""One suite over every camera. A live camera is a real capture of a video file, read by the same thread as a device."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.cameras.base import Camera
from edge.cameras.image_folder import ImageFolderCamera
from edge.cameras.live_capture import LiveCamera
from edge.cameras.open_camera import open_camera
from edge.cameras.video import VideoFileCamera
from edge.clock import SystemClock
from edge.errors import CameraLostError, CameraOpenError, CameraTimeoutError, EndOfStream, FrameError
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


CAMERAS = {"folder": folder_camera, "video": video_camera, "live": live_camera}


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


def test_a_closed_camera_is_lost_and_may_be_closed_again(camera: Camera) -> None:
    camera.close()
    camera.close()
    with pytest.raises(CameraLostError, match="is closed"):
        camera.read(100)


class ScriptedCapture:
    """Gives what it is told to, when it is told to; stands for a driver that stalls, dies or sends rubbish."""

    def __init__(self) -> None:
        self.results: list[tuple[bool, object]] = []
        self.more = threading.Semaphore(0)
        self.released = threading.Event()

    def give(self, *results: tuple[bool, object]) -> None:
        for result in results:
            self.results.append(result)
            self.more.release()

    def read(self) -> tuple[bool, object]:
        self.more.acquire()
        result = self.results.pop(0)
        if isinstance(result[1], Exception):
            raise result[1]
        return result

    def release(self) -> None:
        self.released.set()


def scripted() -> tuple[ScriptedCapture, LiveCamera]:
    capture = ScriptedCapture()
    return capture, LiveCamera("scripted", capture, CLOCK)


def test_a_slow_reader_gets_the_newest_frame() -> None:
    capture, camera = scripted()
    capture.give(*((True, np.full((4, 4, 3), value, np.uint8)) for value in range(10)), (False, None))
    assert capture.released.wait(5)  # the thread has read all ten
    assert camera.read(1000).image[0, 0, 0] == 9
    with pytest.raises(CameraLostError):
        camera.read(1000)


def test_a_stall_is_a_timeout_and_the_camera_may_come_back() -> None:
    capture, camera = scripted()
    with pytest.raises(CameraTimeoutError, match="within 10 ms"):
        camera.read(10)
    capture.give((True, np.zeros((4, 4, 3), np.uint8)))
    assert camera.read(5000).index == 1
    capture.give((False, None))
    camera.close()
    assert capture.released.is_set()


def test_a_driver_that_throws_is_a_lost_camera() -> None:
    capture, camera = scripted()
    capture.give((True, RuntimeError("ioctl failed")))
    with pytest.raises(CameraLostError, match="ioctl failed"):
        camera.read(5000)


@pytest.mark.parametrize(
    "rubbish", [None, np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)
def test_a_picture_of_the_wrong_kind_is_never_handed_on(rubbish: object) -> None:
    capture, camera = scripted()
    capture.give((True, rubbish))
    with pytest.raises(FrameError):
        camera.read(5000)
    capture.give((False, None))
    camera.close()


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
