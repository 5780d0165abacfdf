from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.cli import main as calibrate
from tools.auroc import auroc
from tools.benchmark.cli import main

SCORES = st.lists(st.integers(0, 6), min_size=1, max_size=30)


@given(SCORES, SCORES)
def test_auroc_is_the_share_of_pairs_in_order(normal: list[int], anomalous: list[int]) -> None:
    pairs = [(bad > good) + 0.5 * (bad == good) for good in normal for bad in anomalous]
    assert auroc(normal, anomalous) == pytest.approx(np.mean(pairs))


def test_auroc_of_nothing_is_not_a_number() -> None:
    assert np.isnan(auroc([], [1.0]))
    assert np.isnan(auroc([1.0], []))


@pytest.fixture
def labelled(tmp_path: Path, write_parts: Callable[..., Path]) -> Path:
    write_parts(tmp_path / "set" / "test" / "good", 6, first_seed=900)
    write_parts(tmp_path / "set" / "test" / "square", 4, first_seed=950, defect=True)
    return tmp_path / "set"


def test_accuracy_as_json_and_table(
    calibrated_dir: Path, labelled: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_INSPECT_DATA", str(labelled))
    assert main(["accuracy", "--bundle", str(calibrated_dir)]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert result["auroc"]["square"]["L1"] == 1.0
    assert result["images"] == {"square": 4, "all defects": 4}
    assert result["misses"]["all defects"] == 0
    assert result["good"] == 6
    assert (result["pixel_auroc"], result["pro"], result["masks"]) == (None, None, 0)
    assert "square" in err


@pytest.fixture
def write_masks(labelled: Path) -> Callable[..., Path]:
    """``write_masks(size=96)`` writes the true masks of the set's defects, size×size pixels, but for the last one."""

    def write(size: int = 96) -> Path:
        truth = labelled / "ground_truth" / "square"
        truth.mkdir(parents=True)
        mask = np.zeros((size, size), np.uint8)
        mask[30:50, 40:60] = 255
        for name in ("000.png", "001_mask.png", "002.png"):
            assert cv2.imwrite(str(truth / name), mask)
        return labelled

    return write


def test_pixel_figures_where_there_are_masks(
    calibrated_dir: Path, write_masks: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(write_masks())
    assert main(["accuracy", "--bundle", str(calibrated_dir), "--data", data]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert result["masks"] == 3
    assert result["pixel_auroc"] > 0.95
    assert result["pro"] > 0.8
    assert "on 3 masks" in " ".join(err.split())


def test_masks_follow_the_region_of_the_station(
    bundle_dir: Path, normal_dir: Path, tmp_path: Path, write_masks: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    station = tmp_path / "station.yaml"
    station.write_text("region: {x: 32, y: 16, width: 64, height: 64}", encoding="utf-8")
    common = ["--bundle", str(bundle_dir), "--station", str(station)]
    assert calibrate([str(normal_dir), *common]) == 0
    assert main(["accuracy", *common, "--data", str(write_masks())]) == 0
    assert json.loads(capsys.readouterr().out)["pixel_auroc"] > 0.95


def test_a_mask_of_another_size_is_told(
    calibrated_dir: Path, write_masks: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["accuracy", "--bundle", str(calibrated_dir), "--data", str(write_masks(64))]) == 2
    assert "expected a mask of 96×96 pixels" in capsys.readouterr().err


def test_latency_as_json(calibrated_dir: Path, labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = str(labelled / "test" / "good")
    assert main(["latency", "--bundle", str(calibrated_dir), "--images", images, "--frames", "25"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["frames"] == 25
    assert set(result["milliseconds"]) == {"decode", "preprocess", "engine", "decision", "rest", "whole"}
    assert all(0 <= figures["p50"] <= figures["p99"] for figures in result["milliseconds"].values())
    throughput = result["throughput"]
    assert throughput["parts_per_second"] > 10
    assert 0 < throughput["share"] < 1.5


def test_no_data_and_no_test_folder_are_told(
    calibrated_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGE_INSPECT_DATA", raising=False)
    assert main(["accuracy", "--bundle", str(calibrated_dir)]) == 2
    assert "set EDGE_INSPECT_DATA" in capsys.readouterr().err
    assert main(["accuracy", "--bundle", str(calibrated_dir), "--data", str(tmp_path)]) == 2
    assert "test/good" in capsys.readouterr().err
