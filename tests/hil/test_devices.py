"""The contract of output lines over a real kernel's GPIO, and edge-inspect on a real V4L2 device and a real line."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.hil.machine import SHARED, run_in_machine

pytestmark = pytest.mark.hil


def test_lines_through_libgpiod_keep_the_contract(tmp_path: Path) -> None:
    suite = ["tests/contracts/test_lines.py", "-p", "no:cacheprovider", "-rs"]
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
