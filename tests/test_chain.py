"""The main job as a user runs it: images → train → export → calibrate → inspect, every step the real command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

pytest.importorskip("torch")


@pytest.mark.torch
def test_the_whole_chain_on_demo_images(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    sizes = ["--train", "60", "--test", "8", "--each", "2", "--steps", "60"]
    command = [sys.executable, "-m", "tools.demo_cli", "run", "--out", str(out), *sizes]
    first = subprocess.run(command, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    figures = json.loads(first.stdout)
    assert figures["both"]["parts"] == 18
    assert figures["both"]["L"] > 0.9
    assert figures["good"]["parts"] == 8
    assert "RECORDING GPIO" in first.stderr
    assert cv2.imread(str(out / "cases.png")).shape[1] == 1600
    records = [json.loads(line) for line in (out / "verdicts.jsonl").read_text().splitlines()]
    assert [record["part_id"] for record in records] == list(range(26))
    assert all((record["outcome"] == "PASS") == (record["margin"] < 0) for record in records)

    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stderr
    assert "nothing to do" in " ".join(second.stderr.split())
    assert sorted(p.name for p in next((out / "calibration").iterdir()).iterdir() if p.name.isdecimal()) == ["000001", "000002"]
    again = json.loads(second.stdout)
    for kind in ("local", "global", "both"):
        assert again[kind] == figures[kind]
