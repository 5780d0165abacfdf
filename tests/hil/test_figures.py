"""Figures of the whole chain with a real model. Training and exporting it takes minutes: for `make hil`, not `make test`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.cli import main as calibrate
from edge.frame import Image
from edge.pictures.image_file import list_images
from tests.hil import stories

ALL_OF_IT = "EDGE_INSPECT_HIL_ALL"
pytestmark = [
    pytest.mark.hil, pytest.mark.torch,
    pytest.mark.skipif(not os.environ.get(ALL_OF_IT), reason=f"takes minutes: make hil ({ALL_OF_IT} is not set)"),
]  # fmt: skip


def prepare(results: Path) -> None:
    """The demo's parts and anomalies as the machine's camera shows them, and the demo's model, trained for a moment."""
    pytest.importorskip("torch")
    demo = results / "demo"
    sizes = ["--train", "60", "--test", "8", "--each", "1", "--steps", "60"]
    done = subprocess.run(
        [sys.executable, "-m", "tools.demo_cli", "run", "--out", str(demo), *sizes], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (demo / "bundle").rename(results / "bundle")
    normal = results / "normal"
    normal.mkdir()
    for index, shown in enumerate(as_shown(demo / "images" / "train" / "good")):
        assert cv2.imwrite(str(normal / f"{index:03d}.png"), shown)
    assert calibrate([str(normal), "--bundle", str(results / "bundle")]) == 0
    bad = [as_shown(folder)[0] for folder in sorted((demo / "images" / "test").iterdir()) if folder.name != "good"][:8]
    np.savez(results / "pictures.npz", good=as_shown(demo / "images" / "test" / "good")[:8], bad=bad)


def as_shown(folder: Path) -> list[Image]:
    """uint8 480×640×3 each, BGR."""
    return [cv2.resize(cv2.imread(str(path)), stories.SIZE) for path in list_images(folder)]


def test_the_whole_chain_as_ratios_to_the_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = stories.Told(tmp_path / "results", "test_figures.py", prepare=prepare)
    with capsys.disabled():
        told.judge("test_the_whole_chain_as_ratios_to_the_engine")
