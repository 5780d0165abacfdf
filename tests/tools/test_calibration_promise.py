from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.slots.calibration_tensors import CalibrationTensors
from tools.benchmark.calibration_splits import SetTerms, measure_splits
from tools.benchmark.cli import main as bench
from tools.benchmark.own_center_coverage import PartWorld, PixelEngine, own_center_coverage, session_coverage
from tools.benchmark.promise_coverage import CROSS_FIT_COUNTS, cross_fit_coverage, split_coverage, tail_coverage
from tools.benchmark.simulated_scores import SHAPES


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_split_breaks_its_promise_as_often_as_it_says_and_what_stands_beside_it_more_often(shape) -> None:
    split, quantile, maximum = split_coverage(shape, 59, 2000)
    assert split.rate == pytest.approx(0.05, abs=1e-3)
    assert split.share == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 2000))
    assert quantile.share > 0.4
    assert maximum.share == pytest.approx((1 - 1 / 59) ** 59, abs=0.06)


def test_a_cross_fit_breaks_it_no_more_often_than_judging_in_sample() -> None:
    crossed, inside = cross_fit_coverage(SHAPES[1], CROSS_FIT_COUNTS[0], 150)
    assert crossed.broken <= inside.broken
    assert crossed.share <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)


def test_a_tail_fit_seldom_breaks_it() -> None:
    (tail,) = tail_coverage(SHAPES[0], 100, 60)
    assert tail.share <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)


def test_splits_of_a_set_count_the_good_that_are_left_and_the_missed() -> None:
    random = np.random.default_rng(0)
    good = random.gamma(3.0, size=(160, 3))
    rows = measure_splits(SetTerms("made up", [1.0, 1.0, 1.0], good, np.full((5, 3), 100.0)), splits=10)
    assert [(row.images, row.left, row.kind) for row in rows] == [
        (20, 140, "approximate"), (30, 130, "approximate"), (100, 60, "exact")
    ]  # fmt: skip
    assert all(row.misses == 0 and row.false_rejects < row.promised for row in rows)
    assert all(row.usual_misses == 0 and 0 < row.usual_false_rejects < 0.2 for row in rows)


def test_with_its_own_c_a_calibration_of_simulated_parts_keeps_its_promise() -> None:
    own = own_center_coverage(PartWorld("one kind"), 60, 6)
    assert own.rate == pytest.approx(1 - 0.05 ** (1 / 60))
    assert own.broken <= 2
    same, to_come = session_coverage(54, 4)
    assert (same.runs, to_come.runs) == (4, 4)
    assert same.median_rate < same.rate


def test_the_engine_of_simulated_parts_tells_a_defect_and_scores_a_batch_as_one_by_one() -> None:
    parts = PartWorld("one kind").draw(np.random.default_rng(0), 5)
    parts[4, 4:8, 4:8, 2] = 255
    with PixelEngine() as engine:
        engine.bind(CalibrationTensors.neutral(engine.shape))
        scores = engine.scores(parts)
        assert scores == pytest.approx([engine.infer(part).scores.score for part in parts], rel=1e-5)
    assert scores.argmax() == 4


def test_it_writes_its_report(tmp_path: Path, bundle_dir: Path, write_parts: Callable[..., Path], monkeypatch) -> None:
    monkeypatch.setattr("tools.benchmark.promise_coverage.SHAPES", SHAPES[:1])
    monkeypatch.setattr("tools.benchmark.simulated_scores.GRID", 100_000)
    write_parts(tmp_path / "data" / "part" / "train" / "good", 60)
    write_parts(tmp_path / "data" / "part" / "test" / "good", 5, first_seed=100)
    write_parts(tmp_path / "data" / "part" / "test" / "bad", 5, first_seed=200, defect=True)
    monkeypatch.setattr("tools.benchmark.own_center_coverage.COUNTS", (54,))
    flags = ["--cost", "--runs", "10", "--bundles", f"part={bundle_dir}", "--data", str(tmp_path / "data")]
    assert bench(["calibration", "--out", str(tmp_path / "out"), *flags]) == 0
    content = json.loads((tmp_path / "out" / "calibration.json").read_text())
    assert {row["rule"] for row in content["simulated"]} >= {"split", "cross-fit", "tail fit"}
    assert {row["rule"] for row in content["own_center"]} >= {"own C", "own C, sessions to come"}
    assert [(row["images"], row["left"]) for row in content["real"]] == [(20, 45), (30, 35)]
    (cost,) = content["costs"]
    assert cost["images"] == 60
    assert all(0 < center < total for center, total in zip(cost["centers"], cost["total"], strict=True))
    assert all(one > 0 for one in cost["one_pass"])
    assert not (bundle_dir.parent / "calibration").exists()
    assert "Promises broken" in (tmp_path / "out" / "calibration.md").read_text()
    assert cv2.imread(str(tmp_path / "out" / "calibration.png")).shape == (460, 1500, 3)
    assert bench(["calibration", "--out", str(tmp_path / "out"), "--bundles", "part"]) == 2
