"""The contract of output lines over a real kernel's GPIO, and edge-inspect on a real V4L2 device and a real line."""

from __future__ import annotations

import json
import shutil
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.hil.machine import SHARED, run_in_machine

pytestmark = pytest.mark.hil


def test_lines_through_libgpiod_keep_the_contract(tmp_path: Path) -> None:
    suites = ["tests/contracts/test_lines.py", "tests/contracts/test_input_lines.py", "tests/contracts/test_doctor_lines.py"]
    suite = [*suites, "-p", "no:cacheprovider", "-rs"]
    code, output = run_in_machine([sys.executable, "-m", "pytest", *suite], tmp_path / "results")
    assert code == 0, output
    assert "skipped" not in output


def test_edge_inspect_on_a_v4l2_camera_and_a_line(calibrated_dir: Path, tmp_path: Path) -> None:
    """vivid's test pattern is nothing the calibration knows: every frame a REJECT, until SIGTERM."""
    machine = Path(__file__).with_name("inspect_in_machine.py")
    results = tmp_path / "results"
    shutil.copytree(calibrated_dir, results / "bundle")
    shutil.copytree(calibrated_dir.parent / "calibration", results / "calibration", symlinks=True)
    code, output = run_in_machine([sys.executable, str(machine), f"{SHARED}/bundle"], results)
    assert code == 0, output
    result = json.loads(output.splitlines()[-1])
    assert result["exit_code"] == 0, output
    assert len(result["outcomes"]) >= 5
    assert set(result["outcomes"]) == {"REJECT"}
    assert "video0" in result["source"]
    assert result["while_running"]["consumer"] == "edge-inspect"
    assert result["while_running"]["reject_level"] == "0"
    assert result["while_running"]["ready_level"] == "1"
    assert result["busy"].startswith("edge-inspect: reject line (edge-sim reject): is in use by 'edge-inspect'")
    assert "asked for width 333" in result["wrong_size"]


def test_edge_capture_on_a_v4l2_camera_and_through_an_inspection_that_holds_it(calibrated_dir: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(calibrated_dir, results / "bundle")
    shutil.copytree(calibrated_dir.parent / "calibration", results / "calibration", symlinks=True)
    machine = Path(__file__).with_name("capture_in_machine.py")
    # The state lies in the machine's own memory: a folder of the host takes no socket of another kernel.
    command = f"cp -a {SHARED}/bundle {SHARED}/calibration /tmp/ && {sys.executable} {machine} /tmp/bundle"
    code, output = run_in_machine(["sh", "-c", command], results)
    assert code == 0, output
    result = json.loads(output.splitlines()[-1])
    assert result["alone"][0] == 0, result
    assert result["held"]["gain"] == result["still_held"]["gain"]
    assert f"exposure held: gain {result['held']['gain']:g}" in result["alone"][1]
    assert result["calibrated"][0] == 0, result
    assert result["refused"][0] == 2, result
    assert f"was calibrated with gain {result['held']['gain']:g}, now it has gain 200" in result["refused"][1]
    assert "3 pictures" in result["alone"][1]
    assert result["busy"][0] == 2, result
    assert "edge-inspect is running: --camera inspect takes its pictures" in result["busy"][1]
    assert result["shared"][0] == 0, result
    assert f"exposure held: gain {result['held']['gain']:g}" in result["shared"][1]
    assert result["shared_size"] == [360, 640, 3]
    assert result["inspection"][0] == 0, result


def test_a_v4l2_driver_says_when_each_frame_was_taken(tmp_path: Path) -> None:
    code, output = run_in_machine([sys.executable, "-m", "tests.hil.stamps_in_machine"], tmp_path / "results")
    assert code == 0, output
    result = json.loads(output.splitlines()[-1])
    stamps = result["stamps"]
    assert all(later - earlier > 1_000_000 for earlier, later in pairwise(stamps)), output
    # vivid stamps by a grid of its own, on a busy machine up to a frame ahead; no frame is exposed after it came, whatever it says.
    assert all(-33_400_000 < read - stamp < 2_000_000_000 for stamp, read in zip(stamps, result["read"], strict=True)), output
    for exposed, stamp, read in zip(result["exposed"], stamps, result["read"], strict=True):
        assert exposed <= min(stamp, read), output
