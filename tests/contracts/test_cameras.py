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
from edge.cameras.csi import csi_pipeline
from edge.cameras.image_folder import ImageFolderCamera
from edge.cameras.live_capture import LiveCamera
from edge.cameras.open_camera import open_calibrated_camera, open_camera
from edge.cameras.recorded import RecordedCamera
from edge.cameras.shared_frames import SharedFrames
from edge.cameras.v4l2 import lock_v4l2
from edge.cameras.video import VideoFileCamera
from edge.capture.frame_server import FrameServer, SharedCamera
from edge.clock import SystemClock
from edge.errors import CameraLostError, CameraOpenError, CameraTimeoutError, EndOfStream, FrameError
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


def locked(lock: Callable[[], CameraSettings | None]) -> tuple[ScriptedCapture, LiveCamera]:
    capture = ScriptedCapture()
    return capture, LiveCamera("scripted", capture, CLOCK, lock)


def test_the_exposure_is_locked_between_two_frames_by_the_thread_that_reads() -> None:
    threads: list[str] = []

    def lock() -> CameraSettings:
        threads.append(threading.current_thread().name)
        return SETTINGS

    capture, camera = locked(lock)
    capture.give((True, np.full((4, 4, 3), 1, np.uint8)))
    camera._changed.acquire()
    camera._changed.wait_for(lambda: camera._newest is not None, 5)
    camera._changed.release()
    later = threading.Timer(0.05, lambda: capture.give((True, np.full((4, 4, 3), 2, np.uint8))))
    later.start()
    assert camera.lock_exposure() == SETTINGS
    assert threads == ["camera scripted"]
    with pytest.raises(CameraTimeoutError):
        camera.read(1)  # both frames were exposed before
    capture.give((True, np.full((4, 4, 3), 3, np.uint8)))
    assert camera.read(5000).image[0, 0, 0] == 3
    capture.give((False, None))
    camera.close()


@pytest.mark.parametrize(
    ("thrown", "expected"), [(CameraOpenError("stays automatic"), CameraOpenError), (RuntimeError("ioctl failed"), CameraLostError)]
)
def test_a_camera_that_is_not_locked_says_why(thrown: Exception, expected: type[Exception]) -> None:
    def lock() -> None:
        raise thrown

    capture, camera = locked(lock)
    threading.Timer(0.05, lambda: capture.give((True, np.zeros((4, 4, 3), np.uint8)))).start()
    with pytest.raises(expected, match=str(thrown)):
        camera.lock_exposure()
    capture.give((False, None))
    camera.close()
    with pytest.raises(CameraLostError):
        camera.lock_exposure()


def test_a_camera_lost_or_stalled_while_it_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    capture, camera = locked(lambda: SETTINGS)
    monkeypatch.setattr(LiveCamera, "LOCK_SECONDS", 0.02)
    with pytest.raises(CameraTimeoutError, match="not locked within"):
        camera.lock_exposure()
    monkeypatch.setattr(LiveCamera, "LOCK_SECONDS", 10)
    threading.Timer(0.05, lambda: capture.give((False, None))).start()
    with pytest.raises(CameraLostError):
        camera.lock_exposure()


def stamped(stamps_ms: list[float]) -> tuple[ScriptedCapture, LiveCamera]:
    """One that reads a 4×4 picture for each of ``stamps_ms``, milliseconds relative to now."""
    capture, now_ms = ScriptedCapture(), CLOCK.monotonic_ns() / 1e6
    camera = LiveCamera("stamped", capture, CLOCK, stamp_ms=lambda: now_ms + stamps_ms.pop(0))
    return capture, camera


def test_a_frame_has_the_drivers_time_also_through_a_shared_camera(tmp_path: Path) -> None:
    capture, camera = stamped([-40.0, -5.0])
    server = FrameServer(tmp_path / "frames.sock", CLOCK)
    shared = SharedCamera(camera, server, None)
    frames = []
    for value in (1, 2):
        capture.give((True, np.full((4, 4, 3), value, np.uint8)))
        frames.append(shared.read(5000))
    assert [frame.driver_ns for frame in frames] == [frame.exposed_ns for frame in frames]
    assert frames[1].exposed_ns - frames[0].exposed_ns == pytest.approx(35e6, abs=1e3)
    assert frames[0].exposed_ns < CLOCK.monotonic_ns() - 35_000_000
    capture.give((False, None))
    shared.close()
    server.close()


def test_stamps_of_another_clock_are_said_once_and_not_used(caplog: pytest.LogCaptureFixture) -> None:
    capture, camera = stamped([-3_600_000.0, -3_600_000.0])
    before = CLOCK.monotonic_ns()
    for value in (1, 2):
        capture.give((True, np.full((4, 4, 3), value, np.uint8)))
        frame = camera.read(5000)
        assert frame.driver_ns is None
        assert before <= frame.exposed_ns <= CLOCK.monotonic_ns()
    assert [record.getMessage()[:34] for record in caplog.records] == ["stamped: the driver's time stamp ("]
    capture.give((False, None))
    camera.close()


class V4l2Controls:
    """Stands for the controls of a camera; what cv2 answers for an absent one is −1, as the kernel's vivid has shown."""

    def __init__(self, values: dict[int, float], deaf: tuple[int, ...] = ()) -> None:
        self.values, self.deaf = values, deaf

    def get(self, prop: int) -> float:
        return self.values.get(prop, -1.0)

    def set(self, prop: int, value: float) -> bool:
        if prop not in self.values or prop in self.deaf:
            return False
        self.values[prop] = value
        return True

    def grab(self) -> bool:
        return True


def usb_controls() -> dict[int, float]:
    return {
        cv2.CAP_PROP_AUTO_EXPOSURE: 3.0, cv2.CAP_PROP_EXPOSURE: 157.0, cv2.CAP_PROP_GAIN: 0.0,
        cv2.CAP_PROP_AUTO_WB: 1.0, cv2.CAP_PROP_WB_TEMPERATURE: 4600.0,
    }  # fmt: skip


def test_a_v4l2_camera_is_held_where_its_automatics_are() -> None:
    controls = V4l2Controls(usb_controls())
    assert lock_v4l2(controls, "/dev/null") == CameraSettings(exposure_us=15700, gain=0, white_balance_k=4600)  # type: ignore[arg-type]
    assert controls.values[cv2.CAP_PROP_AUTO_EXPOSURE] == 1.0
    assert controls.values[cv2.CAP_PROP_AUTO_WB] == 0.0
    assert lock_v4l2(V4l2Controls({}), "/dev/null") is None  # type: ignore[arg-type]


@pytest.mark.parametrize("deaf", [cv2.CAP_PROP_AUTO_EXPOSURE, cv2.CAP_PROP_AUTO_WB])
def test_a_v4l2_camera_whose_automatic_stays_on_is_refused(deaf: int) -> None:
    with pytest.raises(CameraOpenError, match="its automatic stays on"):
        lock_v4l2(V4l2Controls(usb_controls(), (deaf,)), "/dev/null")  # type: ignore[arg-type]


def test_a_gain_that_drifts_on_is_not_called_locked() -> None:
    class Drifting(V4l2Controls):
        def grab(self) -> bool:
            self.values[cv2.CAP_PROP_GAIN] += 1
            return True

    with pytest.raises(CameraOpenError, match="asked for gain 0, it gives 5"):
        lock_v4l2(Drifting(usb_controls()), "/dev/null")  # type: ignore[arg-type]


def test_the_csi_pipeline_carries_the_settings() -> None:
    pipeline = csi_pipeline(0, CameraConfig(exposure_us=8000, gain=2.5))
    for word in ("aelock=true", "awblock=true", 'exposuretimerange="8000000 8000000"', 'gainrange="2.5 2.5"'):
        assert word in pipeline


@pytest.mark.parametrize(
    ("actual", "message"),
    [
        (None, "does not hold or tell its exposure"),
        (CameraSettings(exposure_us=9000, gain=3), "now it has exposure_us 9000, gain 3"),
        (CameraSettings(exposure_us=8000), "calibrate again"),
    ],
)
def test_a_camera_with_other_settings_than_the_calibrated_ones_is_refused(
    actual: CameraSettings | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(expected: CameraSettings | None) -> Camera:
        capture, camera = locked(lambda: actual)
        monkeypatch.setattr("edge.cameras.open_camera.open_camera", lambda config, clock, shared: camera)
        threading.Timer(0.05, lambda: capture.give((True, np.zeros((4, 4, 3), np.uint8)), (False, None))).start()
        return open_calibrated_camera(CameraConfig(), CLOCK, expected)

    with pytest.raises(CameraOpenError, match=message):
        opened(SETTINGS)
    opened(None).close()
    opened(actual).close()


def test_the_station_goes_before_the_calibration_and_files_have_no_exposure(tmp_path: Path) -> None:
    config = CameraConfig(gain=5).with_settings(SETTINGS)
    assert (config.exposure_us, config.gain, config.white_balance_k) == (8000, 5, None)
    folder_camera(tmp_path)
    with open_calibrated_camera(CameraConfig(source=f"file://{tmp_path / 'frames'}"), CLOCK, SETTINGS) as camera:
        assert camera.read(100).image.shape == (96, 96, 3)


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
