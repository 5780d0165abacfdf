"""The thread that reads a live camera: the newest frame, its time, and every way a driver fails."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from edge.cameras.camera_settings import CameraSettings
from edge.cameras.live_capture import LiveCamera
from edge.capture.frame_server import FrameServer, SharedCamera
from edge.errors import CameraLostError, CameraOpenError, CameraTimeoutError, FrameError
from tests.edge.cameras.scripted_capture import CLOCK, ScriptedCapture, locked, scripted

SETTINGS = CameraSettings(exposure_us=8000, gain=3)


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
