"""A capture as the technician sees it: folders, records, signals, and what goes wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from edge.cameras.base import Camera
from edge.cameras.camera_settings import CameraSettings
from edge.capture.capture_cli import main
from edge.capture.capture_gates import Skip
from edge.capture.capture_record import captured_settings, read_record
from edge.capture.capture_run import open_for_capture, take_pictures
from edge.capture.capture_session import CaptureSession
from edge.capture.capture_trigger import IntervalTrigger, KeyTrigger
from edge.capture.frame_server import FrameServer
from edge.capture.frame_sharing import SOCKET
from edge.clock import ManualClock, SystemClock
from edge.errors import (
    CameraLostError,
    CameraOpenError,
    CameraTimeoutError,
    ConfigError,
    EndOfStream,
    FrameError,
    ImageError,
    OutputError,
)
from edge.line.station_view import View
from edge.pictures.image_file import list_images
from edge.station_config import CameraConfig
from tests.different_parts import different_part
from tests.edge.storage.test_durable_files import no_file_larger_than

WHOLE = View(region=None, ignore_mask_sha256=None)
SETTINGS = CameraSettings(exposure_us=8000, gain=2)


class ScriptedCamera(Camera):
    """A live camera that plays pictures and errors."""

    live = True

    def __init__(self, script: list[np.ndarray | Exception], clock: ManualClock) -> None:
        super().__init__("scripted")
        self.script, self.clock, self.times = script, clock, list[int]()

    def _read_impl(self, timeout_ms: int) -> tuple[object, int, str]:
        self.times.append(self.clock.monotonic_ns() // 1_000_000)
        step = self.script.pop(0) if self.script else EndOfStream("the end")
        if isinstance(step, Exception):
            raise step
        return step, self.clock.monotonic_ns(), "scripted"

    def _close_impl(self) -> None:
        pass


def session(parent: Path, name: str = "s", **changes: object) -> CaptureSession:
    arguments = {"camera": "scripted", "view": WHOLE, "settings": SETTINGS, "clock": ManualClock()} | changes
    return CaptureSession(parent, name, **arguments)  # type: ignore[arg-type]


def names(folder: Path) -> list[str]:
    return [path.name for path in list_images(folder)]


def edge_capture(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture
def parts_dir(tmp_path: Path) -> Path:
    """Six different parts, each also as a noisy copy, one black picture, one that is no picture."""
    folder = tmp_path / "parts"
    folder.mkdir()
    for part in range(6):
        noise = np.random.default_rng(part).normal(0, 3, (192, 256, 3))
        cv2.imwrite(str(folder / f"{part}a.png"), different_part(part))
        cv2.imwrite(str(folder / f"{part}b.png"), np.clip(different_part(part) + noise, 0, 255).astype(np.uint8))
    cv2.imwrite(str(folder / "7.png"), np.zeros((192, 256, 3), np.uint8))
    (folder / "8.png").write_bytes(b"broken")
    return folder


def test_what_is_kept_is_lossless_and_the_record_and_the_sheet_tell_of_it(
    parts_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edge_capture("--camera", f"file://{parts_dir}", "--out", tmp_path / "out", "--session", "monday") == 0
    folder = tmp_path / "out" / "monday"
    assert names(folder) == [f"{number:06d}.png" for number in range(1, 7)]  # and not contact.png
    assert np.array_equal(cv2.imread(str(folder / "000003.png")), different_part(2))
    record = read_record(folder)
    assert record.skipped == {"same part": 6, "too dark": 1, "frame unusable": 1}
    assert record.frames_seen == 14
    assert record.frame_size == (256, 192)
    assert record.images["000001.png"].sharpness > 10
    assert cv2.imread(str(folder / "contact.png")).shape == (32 + 180, 6 * 160, 3)
    err = capsys.readouterr().err
    assert "6 pictures" in err
    assert "6 same part" in err
    assert "put the next part there" in err


def test_a_session_that_exists_is_continued_only_when_asked(
    parts_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = ("--camera", f"file://{parts_dir}", "--out", tmp_path / "out", "--session", "s")
    assert edge_capture(*source, "--append") == 2
    assert "no session to continue" in capsys.readouterr().err
    assert edge_capture(*source, "--frames", "4") == 0
    assert edge_capture(*source) == 2
    assert "say --append" in capsys.readouterr().err
    assert edge_capture(*source, "--append", "--frames", "1") == 0  # four are known, the fifth is new
    assert names(tmp_path / "out" / "s")[-1] == "000005.png"
    record = read_record(tmp_path / "out" / "s")
    assert len(record.images) == 5
    assert record.skipped["same part"] == 3 + 8


def test_append_needs_a_name_and_names_are_no_paths(tmp_path: Path, parts_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = ("--camera", f"file://{parts_dir}", "--out", tmp_path / "out")
    assert edge_capture(*source, "--append") == 2
    for name in ("../x", ".", "a/b", ""):
        assert edge_capture(*source, "--session", name) == 2
    assert "expected letters" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "x").exists()


def test_without_a_picture_it_fails_and_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "dark").mkdir()
    cv2.imwrite(str(tmp_path / "dark" / "0.png"), np.zeros((64, 64, 3), np.uint8))
    assert edge_capture("--camera", f"file://{tmp_path / 'dark'}", "--out", tmp_path) == 1
    assert "too dark: more light" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changes", [{"camera": "other"}, {"settings": None}, {"settings": CameraSettings(exposure_us=9000)}, {"view": "region"}]
)
def test_pictures_of_another_kind_are_not_mixed_in(tmp_path: Path, changes: dict[str, object]) -> None:
    with session(tmp_path) as one:
        one.offer(different_part(0))
    if changes.get("view"):
        changes = {"view": View.model_validate({"region": {"x": 0, "y": 0, "width": 99, "height": 99}, "ignore_mask_sha256": None})}
    with pytest.raises(ConfigError, match="take another session"):
        session(tmp_path, append=True, **changes)
    with session(tmp_path, append=True) as again, pytest.raises(ImageError, match="256×192 pixels, the camera now gives 100×100"):
        again.offer(np.full((100, 100, 3), 90, np.uint8))


def test_one_session_has_one_writer(tmp_path: Path) -> None:
    with session(tmp_path), pytest.raises(OutputError, match="another capture is writing there"):
        session(tmp_path, append=True)


def test_pictures_that_a_power_cut_left_out_of_the_record_are_taken_up(tmp_path: Path) -> None:
    cut = session(tmp_path)
    for part in range(3):
        cut.offer(different_part(part))
    os.close(cut._lock)  # the process is gone: the record is that of the start
    assert read_record(cut.folder).images == {}
    with session(tmp_path, append=True) as again:
        assert again.kept == 3
        assert again.offer(different_part(1)) is Skip.SAME_PART
        assert again.offer(different_part(3)) is None
    assert list(read_record(cut.folder).images) == [f"{number:06d}.png" for number in (1, 2, 3, 4)]


def test_a_full_disk_leaves_what_was_written_whole(tmp_path: Path) -> None:
    one = session(tmp_path)
    with pytest.raises(OutputError, match="free space"), one:
        one.offer(different_part(0))
        with no_file_larger_than(500):
            one.offer(different_part(1))
    assert names(one.folder) == ["000001.png"]
    assert list(read_record(one.folder).images) == ["000001.png"]
    assert not [path for path in one.folder.iterdir() if path.name.startswith(".")]


def test_the_interval_is_kept_and_frames_are_counted_from_the_kept_ones(tmp_path: Path) -> None:
    clock = ManualClock()
    camera = ScriptedCamera([different_part(part // 2) for part in range(10)], clock)
    with session(tmp_path, clock=clock) as one:
        take_pictures(one, camera, IntervalTrigger(0.5, clock), threading.Event(), 3, 100, lambda *_: None)
        assert one.kept == 3
        assert camera.times == [0, 500, 1000, 1500, 2000]
        take_pictures(one, camera, IntervalTrigger(0.5, clock), threading.Event(), 1, 100, lambda *_: None)
        assert one.kept == 4


def test_a_stop_ends_it_before_the_next_frame(tmp_path: Path) -> None:
    clock, stop = ManualClock(), threading.Event()
    camera = ScriptedCamera([different_part(part) for part in range(5)], clock)
    with session(tmp_path, clock=clock) as one:
        take_pictures(one, camera, IntervalTrigger(0.5, clock), stop, None, 100, lambda *_: stop.set())
    assert len(read_record(one.folder).images) == 1


@pytest.mark.parametrize("error", [CameraTimeoutError("late"), FrameError("odd")])
def test_some_bad_frames_are_counted_and_many_end_it(tmp_path: Path, error: Exception) -> None:
    clock = ManualClock()
    camera = ScriptedCamera([error] * 4 + [different_part(0)] + [error] * 5, clock)
    with pytest.raises(type(error)), session(tmp_path, clock=clock) as one:
        take_pictures(one, camera, IntervalTrigger(0.5, clock), threading.Event(), None, 100, lambda *_: None)
    record = read_record(one.folder)
    assert list(record.skipped.values()) == [9]
    assert len(record.images) == 1


def test_a_lost_camera_ends_it_with_what_it_has(tmp_path: Path) -> None:
    clock = ManualClock()
    camera = ScriptedCamera([different_part(0), CameraLostError("unplugged")], clock)
    with pytest.raises(CameraLostError), session(tmp_path, clock=clock) as one:
        take_pictures(one, camera, IntervalTrigger(0.5, clock), threading.Event(), None, 100, lambda *_: None)
    assert len(read_record(one.folder).images) == 1
    assert (one.folder / "contact.png").is_file()


def test_each_enter_is_a_picture() -> None:
    read, write = os.pipe()
    trigger, stop = KeyTrigger(read), threading.Event()
    os.write(write, b"\n\nx\n")
    assert [trigger.wait(stop) for _ in range(3)] == [True] * 3
    threading.Timer(0.05, stop.set).start()
    assert not trigger.wait(stop)
    os.close(write)
    assert not KeyTrigger(read).wait(threading.Event())
    os.close(read)


def test_settings_of_sessions_are_found_and_must_agree(tmp_path: Path) -> None:
    assert captured_settings(tmp_path) is None
    for name, settings in (("a", SETTINGS), ("b", SETTINGS)):
        with session(tmp_path, name, settings=settings):
            pass
    assert captured_settings(tmp_path / "a") == SETTINGS
    assert captured_settings(tmp_path) == SETTINGS
    with session(tmp_path, "c", settings=CameraSettings(exposure_us=100, gain=2)):
        pass
    with pytest.raises(ImageError, match="calibrate one of them"):
        captured_settings(tmp_path)
    with session(tmp_path, "d", settings=None):
        pass
    assert captured_settings(tmp_path) is None


def test_a_busy_camera_points_to_the_inspection_that_has_it(tmp_path: Path) -> None:
    config, stop = CameraConfig(source="/dev/null"), threading.Event()
    with pytest.raises(CameraOpenError) as alone:
        open_for_capture(config, SystemClock(), tmp_path / SOCKET, True, stop)
    assert "inspect" not in str(alone.value)
    server = FrameServer(tmp_path / SOCKET, SystemClock())
    with pytest.raises(CameraOpenError, match="edge-inspect is running: --camera inspect takes its pictures"):
        open_for_capture(config, SystemClock(), tmp_path / SOCKET, True, stop)
    server.close()


def test_ctrl_c_finishes_the_session(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), different_part(0))
    for index in range(5000):
        os.link(folder / "a.png", folder / f"{index:05d}.png")
    command = [
        sys.executable,
        "-m",
        "edge.capture.capture_cli",
        "--camera",
        f"file://{folder}",
        "--out",
        tmp_path / "out",
        "--session",
        "s",
    ]
    process = subprocess.Popen([*map(str, command), "--same-below", "0"], stderr=subprocess.PIPE, text=True)
    killer = threading.Timer(60, process.kill)
    killer.start()
    while process.poll() is None and not (tmp_path / "out" / "s" / "000003.png").exists():
        killer.join(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    killer.cancel()
    assert process.returncode == 0, err
    record = read_record(tmp_path / "out" / "s")
    assert 3 <= len(record.images) < 5000
    assert names(tmp_path / "out" / "s") == list(record.images)
    assert (tmp_path / "out" / "s" / "contact.png").is_file()
    assert "Traceback" not in err


@pytest.mark.parametrize("attempt", range(4))
def test_a_kill_at_any_moment_leaves_a_session_that_can_be_continued(tmp_path: Path, attempt: int, parts_dir: Path) -> None:
    out = tmp_path / "out"
    source = ["--camera", f"file://{parts_dir}", "--out", str(out), "--session", "s", "--same-below", "0"]
    process = subprocess.Popen([sys.executable, "-m", "edge.capture.capture_cli", *source], stderr=subprocess.DEVNULL)
    waiting = threading.Event()
    while process.poll() is None and not (out / "s" / f"{1 + 3 * attempt:06d}.png").exists():
        waiting.wait(0.002)
    process.kill()
    process.wait()
    for path in list_images(out / "s"):
        assert cv2.imread(str(path)) is not None
    before = len(list_images(out / "s"))
    assert edge_capture(*source, "--append", "--frames", "2") == 0
    assert len(read_record(out / "s").images) == before + 2
    assert yaml.safe_load((out / "s" / "session.yaml").read_text())["session"] == "s"


def test_the_sheet_of_many_shows_some(tmp_path: Path, write_parts: Callable[..., Path]) -> None:
    folder = write_parts(tmp_path / "many", 201)
    assert edge_capture("--camera", f"file://{folder}", "--out", tmp_path, "--session", "s", "--same-below", "0") == 0
    assert cv2.imread(str(tmp_path / "s" / "contact.png")).shape == (32 + 11 * 180, 1600, 3)
