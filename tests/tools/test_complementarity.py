"""edge-bench complementarity: figures, verdicts, report; and the whole of it on a few drawn parts."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from tools.benchmark.anomaly_set import AnomalySet, difference, find_sets, load_anomaly_set, usual_difference
from tools.benchmark.cli import main
from tools.benchmark.complementarity_figures import by_source, figures_of
from tools.benchmark.complementarity_report import plot, report
from tools.benchmark.complementarity_trial import Trial, train_config
from tools.benchmark.complementarity_verdict import ABOVE, NEAR, SMOOTH, above, answers, near, verdicts
from tools.benchmark.paired_bootstrap import Estimate
from tools.demo_images import demo_image
from trainer.train_config import TrainConfig

pytestmark = pytest.mark.torch


def estimate(value: float, spread: float = 0.0) -> Estimate:
    return Estimate(value, value + spread * np.linspace(-1, 1, 101))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sets of drawn parts: 24 to learn from, 6 good and 3 bad ones to test."""
    folder = tmp_path_factory.mktemp("sets")
    for number, name in enumerate(("plate", "transistor")):
        random = np.random.default_rng(number)
        for group, count, anomaly in (("train/good", 24, None), ("test/good", 6, None), ("test/misplaced", 3, "missing")):
            (folder / name / group).mkdir(parents=True)
            for index in range(count):
                cv2.imwrite(str(folder / name / group / f"{index}.png"), demo_image(random, anomaly)[0])
    (folder / "not_a_set").mkdir()
    return folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small model, so that the whole takes seconds."""

    def config(seed: int, regulariser: str, steps: int | None) -> TrainConfig:
        small = {"input_size": 128, "batch_size": 4, "centers": 16, "steps": 2}
        return train_config(seed, regulariser, steps).model_copy(update=small)

    monkeypatch.setattr("tools.benchmark.complementarity.train_config", config)


def trial(regulariser: str, seed: int, first: list[float], second: list[float], name: str = "a") -> Trial:
    """Two kinds of five real images each and five good ones; λ = 1."""
    return Trial(
        set_name=name, seed=seed, regulariser=regulariser, fingerprint="", code="", smoothness=1.0, seconds=0.0, feature_weight=1.0,
        reconstruction_weight=1.0, left_out={}, kinds=["good"] * 5 + ["local"] * 5 + ["global"] * 5,
        sources=["good"] * 5 + ["x"] * 10, bases=[0, 1, 2, 3, 4] + [-1] * 10, feature_scores=first, reconstruction_scores=second,
    )  # fmt: skip


GOOD = [0.0, 1.0, 2.0, 3.0, 4.0]
HIGH = [20.0] * 5


def test_scores_that_cover_for_each_other_reach_the_ceiling_together() -> None:
    figures = figures_of([trial("projection", 0, GOOD + GOOD + HIGH, GOOD + HIGH + GOOD)], draws=200)
    row = figures.pooled["projection"]["both"]
    assert (row["L1"].value, row["L2"].value, row["L"].value) == (0.75, 0.75, 1.0)
    assert row["L"].interval() == (1.0, 1.0)
    assert (figures.pooled["projection"]["local"]["L1"].value, figures.pooled["projection"]["local"]["L2"].value) == (0.5, 1.0)
    assert figures.images["a"] == {
        "good": 5, "local": 5, "global": 5, "both": 10,
        "local, real": 5, "local, synthetic": 0, "global, real": 5, "global, synthetic": 0,
    }  # fmt: skip
    found = verdicts(figures)
    assert answers(found) == {(NEAR, "projection"): "yes", (ABOVE, "projection"): "yes"}
    assert all(one.settled for one in found)


def test_seeds_and_sets_are_averaged_and_regularisers_compared() -> None:
    low, high = GOOD + GOOD + HIGH, GOOD + HIGH + HIGH
    trials = [trial("projection", seed, high, high, name) for seed in (0, 1) for name in "ab"]
    trials += [trial("none", seed, low if seed else high, low if seed else high, name) for seed in (0, 1) for name in "ab"]
    figures = figures_of(trials, draws=50)
    assert figures.pooled["none"]["local"]["L"].value == pytest.approx(0.75)
    assert figures.of_seed["none"]["local"] == [1.0, 0.5]
    assert by_source(trials, "none")["a/x"] == pytest.approx({"L1": 0.875, "L2": 0.875, "L": 0.875})
    found = {(one.target, one.claim.rpartition(" on ")[2]): one for one in verdicts(figures) if one.regulariser == "projection"}
    assert found[SMOOTH, "local anomalies"].answer == "yes"
    assert found[SMOOTH, "local anomalies"].difference == pytest.approx(0.25)
    assert found[SMOOTH, "global anomalies"].answer == "tie"
    assert answers(list(found.values())) == {
        (NEAR, "projection"): "yes", (ABOVE, "projection"): "tie", (SMOOTH, "projection"): "yes"
    }  # fmt: skip
    text = report(trials, figures, list(found.values()), TrainConfig(), 20)
    assert "L with projection above L without on local anomalies: yes" in text
    assert "| b | local | 5 | 1.0000 | 1.0000 | 1.0000 |" in text
    assert cv2.imdecode(np.frombuffer(plot(trials, figures), np.uint8), cv2.IMREAD_COLOR) is not None


def test_a_kind_with_too_few_images_says_nothing() -> None:
    few = trial("none", 0, GOOD + HIGH + HIGH, GOOD + HIGH + HIGH)
    few = few.model_copy(update={"kinds": ["good"] * 5 + ["local"] * 9 + ["global"]})
    assert set(figures_of([few], draws=10).pooled["none"]) == {"local", "local, real"}


@pytest.mark.parametrize(
    ("first", "second", "spread", "answer", "settled"),
    [
        (0.99, 0.98, 0.0, "yes", True),
        (0.976, 0.98, 0.0, "yes", True),
        (0.976, 0.98, 0.01, "yes", False),
        (0.97, 0.98, 0.0, "no", True),
        (0.97, 0.98, 0.01, "no", False),
        (1.0, 1.0, 0.0, "yes", True),
    ],
)
def test_half_a_point_below_is_near(first: float, second: float, spread: float, answer: str, settled: bool) -> None:
    found = near("projection", "claim", estimate(first, spread), estimate(second), {"a": first - second})
    assert (found.target, found.answer, found.settled) == (NEAR, answer, settled)
    assert found.difference == pytest.approx(first - second)
    assert found.low <= found.difference <= found.high


@pytest.mark.parametrize(
    ("first", "second", "spread", "answer", "settled"),
    [
        (0.99, 0.98, 0.0, "yes", True),
        (0.99, 0.98, 0.02, "yes", False),
        (0.97, 0.98, 0.0, "no", True),
        (0.97, 0.98, 0.02, "no", False),
        (0.98, 0.98, 0.0, "no", True),
        (1.0, 1.0, 0.0, "tie", False),
    ],
)
def test_above_is_above_but_for_the_ceiling(first: float, second: float, spread: float, answer: str, settled: bool) -> None:
    found = above(ABOVE, "none", "claim", estimate(first, spread), estimate(second), {"a": 0.01, "b": -0.02})
    assert (found.answer, found.settled) == (answer, settled)
    assert "not below in 1 of 2 sets, lowest -2.00" in found.line()


def test_the_kinds_of_a_set_and_what_its_pictures_are(data: Path) -> None:
    first, second = (load_anomaly_set(folder, 64, 5, lambda: None) for folder in find_sets(data, None))
    kinds = {(one.kind, one.source) for one in first.images if one.base == -1}
    assert kinds == {("local", "misplaced")}
    assert {(one.kind, one.source) for one in second.images if one.base == -1} == {("global", "misplaced")}
    assert [one.kind for one in first.images[:5]] == ["good"] * 5
    assert all(one.picture.shape == (64, 64, 3) and one.picture.dtype == np.uint8 for one in first.images)
    synthetic = [one for one in first.images if one.source.startswith("synthetic") and one.kind == "global"]
    assert len(synthetic) + sum(first.left_out.values()) == 5
    again = load_anomaly_set(data / "plate", 64, 5, lambda: None)
    assert isinstance(again, AnomalySet)
    assert [one.picture.tobytes() for one in again.images] == [one.picture.tobytes() for one in first.images]


def test_what_a_symmetric_part_looks_like_mirrored_is_usual() -> None:
    random = np.random.default_rng(0)
    good = []
    for _ in range(6):
        picture = np.full((128, 128, 3), 220, np.uint8)
        cv2.circle(picture, (64 + int(random.integers(-3, 4)), 64), 30, (60, 60, 60), -1)
        good.append(picture)
    usual = usual_difference(good)
    assert usual > 0
    assert difference(np.ascontiguousarray(good[0][::-1]), good[0]) <= usual
    without = good[0].copy()
    without[:, 64:] = 220
    assert difference(without, good[0]) > usual
    assert usual_difference(good[:1]) == 0


def test_the_whole_and_again_without_training(
    data: Path, tmp_path: Path, small: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["complementarity", "--data", str(data), "--out", str(tmp_path), "--sets", "plate", "--seeds", "1", "--limit", "5"]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert result == json.loads((tmp_path / "complementarity.json").read_text())
    assert set(result["auroc"]) == {"projection", "none"}
    assert "L within 0.5 point" in err
    assert len(list((tmp_path / "trials").iterdir())) == 2
    for name in ("complementarity.png", "synthetic_anomalies.png"):
        assert cv2.imread(str(tmp_path / name)) is not None
    before = (tmp_path / "complementarity.md").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("tools.benchmark.complementarity.run_trial", None)
        patch.setattr("tools.benchmark.complementarity.code_hash", lambda: "newer")
        assert main(arguments) == 0
        assert "2 of 2 trials" in capsys.readouterr().err
    assert (tmp_path / "complementarity.md").read_bytes() == before
    capsys.readouterr()
    assert main([*arguments[:-1], "6"]) == 2
    assert "is of other options or other images; choose another --out" in capsys.readouterr().err
    broken = tmp_path / "trials" / "plate.none.0.json"
    broken.write_text("{")
    assert main(arguments) == 2
    assert f"{broken}: expected a finished trial" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "/nonexistent"], "expected a folder of sets"),
        (["--data", "{data}/not_a_set"], "or a folder of sets, found none"),
        (["--data", "{data}", "--sets", "plate,bottle"], "there is no set 'bottle'; --sets takes plate, transistor"),
        (["--data", "{data}", "--regularisers", "projection,magic"], "or 'none', got 'magic'"),
        ([], "set EDGE_INSPECT_DATA"),
    ],
)
def test_wrong_input_is_one_line_and_2(
    arguments: list[str],
    message: str,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("EDGE_INSPECT_DATA", raising=False)
    filled = [one.format(data=data) for one in arguments]
    assert main(["complementarity", "--out", str(tmp_path / "out"), *filled]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_told(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["complementarity", "--data", str(data), "--out", str(tmp_path / "file")]) == 2
    assert "choose another --out" in capsys.readouterr().err
