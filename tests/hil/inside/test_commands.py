"""The commands beside the inspection, and a webcam that nobody feeds, on the kernel's own devices."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import gpiod
import pytest
import yaml

from edge.cameras.v4l2 import CONTROLS, open_v4l2
from edge.clock import SystemClock
from edge.frame import Image
from edge.station_config import CameraConfig
from tests.hil.inside.chip import Chip
from tests.hil.inside.inspector import Inspector
from tests.hil.inside.line_watch import LineWatch
from tests.hil.inside.station import AT_THE_ARM_S, free, triggered
from tests.hil.inside.virtual_camera import WEBCAM, VirtualCamera, device

Start = Callable[..., Inspector]
FRAMES = 20


def command(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.fixture
def webcam(camera: VirtualCamera) -> Path:
    """Its device; it shows a test pattern, which nothing was calibrated on."""
    return device(WEBCAM)


def test_a_driver_says_when_each_frame_was_taken(webcam: Path) -> None:
    clock = SystemClock()
    with open_v4l2(webcam, CameraConfig(width=640, height=360), clock) as opened:
        seen = [(opened.read(5000), clock.monotonic_ns()) for _ in range(FRAMES)]
    stamps = [frame.driver_ns or 0 for frame, _ in seen]
    assert all(later - earlier > 1_000_000 for earlier, later in itertools.pairwise(stamps))
    for frame, read_ns in seen:
        assert frame.driver_ns is not None
        # vivid stamps by a grid of its own, up to a frame ahead; no frame is exposed after it came, whatever it says.
        assert -33_400_000 < read_ns - frame.driver_ns < 2_000_000_000
        assert frame.exposed_ns <= min(frame.driver_ns, read_ns)


def test_pictures_that_nothing_was_calibrated_on_are_rejected(webcam: Path, chip: Chip, lines: LineWatch, inspect: Start) -> None:
    inspector = inspect(free(camera={"width": 640, "height": 360}), "--camera", webcam.name.removeprefix("video"))
    inspector.until_judged(5)
    assert chip.level("ready")
    with gpiod.Chip(f"/dev/{chip.path.name}") as opened:
        assert opened.get_line_info("reject").consumer == "edge-inspect"
    assert inspector.stop() == 0
    assert "video0" in inspector.verdicts[0]["source"]
    assert {one["outcome"] for one in inspector.verdicts} == {"REJECT"}
    assert not any(change.level for change in lines.of("reject"))
    wrong = inspect(free(camera={"width": 333, "height": 360}), "--camera", str(webcam))
    assert wrong.wait() == 2
    assert "asked for width 333" in wrong.said()


def test_pictures_are_taken_with_a_held_exposure_alone_and_beside_an_inspection(webcam: Path, inspect: Start, folder: Path) -> None:
    camera_keys = {"width": 640, "height": 360, "read_timeout_ms": 5000}
    station = folder / "capture.yaml"
    station.write_text(yaml.safe_dump({"camera": camera_keys}))
    # vivid's pattern moves, but is as sharp everywhere: all of it is kept.
    places = ("--station", station, "--bundle", folder / "bundle", "--same-below", "0")
    capture = ("edge.capture.capture_cli", *places, "--every", "0.1", "--out", folder)

    alone = command(*capture, "--camera", "0", "--frames", "3", "--session", "alone")
    assert alone.returncode == 0, alone.stderr
    assert "3 pictures" in alone.stderr
    held = controls(webcam)
    assert f"exposure held: gain {held['gain']:g}" in alone.stderr
    time.sleep(2.2)  # vivid's automatic gain moves every second
    assert controls(webcam)["gain"] == held["gain"]

    calibrated = command(
        "calibration.cli", "--camera", "0", "--frames", "20", "--every", "0.05", *places, "--center", "bundle"
    )  # fmt: skip
    assert calibrated.returncode == 0, calibrated.stderr
    brighter = inspect({"camera": camera_keys | {"gain": 200}}, "--camera", "0", "--dry-run", "--max-frames", "1")
    assert brighter.wait() == 2
    assert f"was calibrated with gain {held['gain']:g}, now it has gain 200" in brighter.said()

    inspector = inspect({"camera": camera_keys}, "--camera", "0", "--dry-run")
    inspector.until_judged(1)
    busy = command(*capture, "--camera", "0", "--frames", "1", "--session", "busy")
    assert busy.returncode == 2
    assert "edge-inspect is running: --camera inspect takes its pictures" in busy.stderr
    shared = command(*capture, "--camera", "inspect", "--frames", "3", "--session", "shared")
    assert shared.returncode == 0, shared.stderr
    assert f"exposure held: gain {held['gain']:g}" in shared.stderr
    assert cv2.imread(str(folder / "shared" / "000003.png")).shape == (360, 640, 3)
    inspector.process.send_signal(signal.SIGTERM)
    assert inspector.wait() == 0


def controls(camera: Path) -> dict[str, float]:
    capture = cv2.VideoCapture(str(camera), cv2.CAP_V4L2)
    try:
        return {name: capture.get(control.prop) for name, control in CONTROLS.items()}
    finally:
        capture.release()


def test_a_calibration_on_60_pictures_of_the_camera_decides_about_the_next_parts(
    camera: VirtualCamera, chip: Chip, inspect: Start, folder: Path, good: list[Image], bad: list[Image]
) -> None:
    station = folder / "station.yaml"
    station.write_text(yaml.safe_dump(triggered()))
    done = command(
        "calibration.cli", "--camera", camera.number, "--frames", "60", "--every", "0.02", "--same-below", "0",
        "--bundle", folder / "bundle", "--station", station,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    inspector = inspect(triggered(), "--camera", camera.number)
    inspector.until("READY", lambda: chip.level("ready"))
    for pictures in (good, bad):
        camera.show(pictures)
        chip.pulse("eye")
        time.sleep(AT_THE_ARM_S)
    assert inspector.stop() == 0
    found = list(inspector.records().values())
    assert [(one["outcome"], one["calibration_serial"]) for one in found] == [("PASS", 3), ("REJECT", 3)]
