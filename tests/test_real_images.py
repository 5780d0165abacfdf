"""What the defaults reach on a real set; needs EDGE_INSPECT_DATA, the folder that holds the sets."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")

from calibration.cli import main as calibrate
from tools.benchmark.cli import main as bench
from tools.export_cli import main as export
from trainer.cli import main as train


def half_of(folder: Path, copy: Path) -> Path:
    """Every second picture of a set, so that the test takes a minute or two."""
    for path in sorted(folder.glob("t*/*")):  # train and test
        kept = copy / path.relative_to(folder)
        kept.mkdir(parents=True)
        for picture in sorted(path.iterdir())[::2]:
            shutil.copy(picture, kept / picture.name)
    return copy


@pytest.mark.torch
@pytest.mark.real_images
def test_bottle_with_a_short_training_and_else_the_defaults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = os.environ.get("EDGE_INSPECT_DATA")
    if not folder or not (Path(folder) / "bottle").is_dir():
        pytest.skip("EDGE_INSPECT_DATA does not name a folder with the set `bottle`")
    data, run, bundle = half_of(Path(folder) / "bottle", tmp_path / "bottle"), tmp_path / "run", tmp_path / "bundle"
    assert train([str(data), "--out", str(run), "--steps", "100"]) == 0
    assert export([str(run), "--out", str(bundle)]) == 0
    assert calibrate([str(data / "train" / "good"), "--bundle", str(bundle)]) == 0
    capsys.readouterr()
    assert bench(["accuracy", "--bundle", str(bundle), "--data", str(data)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["auroc"]["all defects"]["L"] >= 0.99
    assert result["false_rejects"] <= 2
    assert result["misses"]["all defects"] <= 2
