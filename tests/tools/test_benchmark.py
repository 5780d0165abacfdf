from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.benchmark.auroc import auroc
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
    assert "square" in err


def test_latency_as_json(calibrated_dir: Path, labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = str(labelled / "test" / "good")
    assert main(["latency", "--bundle", str(calibrated_dir), "--images", images, "--frames", "25"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["frames"] == 25
    assert set(result["milliseconds"]) == {"decode", "preprocess", "engine", "decision", "rest", "whole"}
    assert all(0 <= figures["p50"] <= figures["p99"] for figures in result["milliseconds"].values())


def test_no_data_and_no_test_folder_are_told(
    calibrated_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGE_INSPECT_DATA", raising=False)
    assert main(["accuracy", "--bundle", str(calibrated_dir)]) == 2
    assert "set EDGE_INSPECT_DATA" in capsys.readouterr().err
    assert main(["accuracy", "--bundle", str(calibrated_dir), "--data", str(tmp_path)]) == 2
    assert "test/good" in capsys.readouterr().err
