"""edge-bench with --out: sets trained, exported, calibrated and measured by one command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from rich.console import Console

pytest.importorskip("torch")

from edge.bundle import open_bundle
from tests.trainer.conftest import SMALL
from tools.benchmark import trained_set
from tools.benchmark.cli import main
from tools.demo_images import make_demo_images

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one set, whose defect `rotated` has no masks."""
    folder = tmp_path_factory.mktemp("sets")
    make_demo_images(folder / "plate", train=60, test=4, each=1)
    shutil.rmtree(folder / "plate" / "ground_truth" / "rotated")
    return folder


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "small.yaml"
    path.write_text(yaml.safe_dump(SMALL), encoding="utf-8")
    return path


def bench(what: str, sets: Path, out: Path, *more: str) -> int:
    return main([what, "--data", str(sets), "--out", str(out), *more])


@pytest.fixture(scope="module")
def out(sets: Path, config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the accuracy of ``sets`` was measured once."""
    out = tmp_path_factory.mktemp("bench") / "out"
    assert bench("accuracy", sets, out, "--config", str(config)) == 0
    return out


def test_accuracy_of_a_finished_set_without_training(
    sets: Path, config: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = json.loads((out / "accuracy.json").read_text(encoding="utf-8"))
    weights = next((out / "plate" / "run").glob("model.*"))
    before = weights.stat().st_mtime_ns
    assert bench("accuracy", sets / "plate", out, "--config", str(config)) == 0
    stdout, stderr = capsys.readouterr()
    result = json.loads(stdout)
    assert result == first == json.loads((out / "accuracy.json").read_text(encoding="utf-8"))
    assert "nothing to do" in " ".join(stderr.split())
    assert weights.stat().st_mtime_ns == before

    plate = result["sets"]["plate"]
    assert result["config"]["steps"] == SMALL["steps"]
    assert plate["images"]["all defects"] == 9
    assert (plate["masks"], plate["good"]) == (8, 4)
    assert 0.5 < plate["pixel_auroc"] <= 1
    assert 0 <= plate["pro"] <= 1
    assert plate["training_seconds"] > 0
    assert plate["parameters"] > 300_000
    assert plate["macs"] > 1e7
    rejected = f"{plate['false_rejects']} of 4 ({plate['false_reject_rate']:.1%})"
    assert rejected in stderr
    assert f"| {rejected} |" in (out / "accuracy.md").read_text(encoding="utf-8")


def test_robustness_uses_the_same_runs(sets: Path, config: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("robustness", sets, out, "--config", str(config)) == 0
    stdout, stderr = capsys.readouterr()
    result = json.loads(stdout)
    plate = result["sets"]["plate"]
    assert json.loads((out / "robustness.json").read_text(encoding="utf-8")) == result
    contamination = plate["contamination"]
    assert len(contamination["added"]) == 3
    assert 0 <= contamination["learned"] <= 3
    assert contamination["clean"]["images"] == contamination["contaminated"]["images"]
    assert contamination["clean"]["images"]["all defects"] == 6
    assert result["mean"]["auroc_clean"] == contamination["clean"]["auroc"]["all defects"]["L"]
    assert plate["false_rejects"]["as is"] == contamination["clean"]["false_rejects"]
    assert len(plate["false_rejects"]) == 8
    assert "brightness ×0.85" in stderr
    report = (out / "robustness.md").read_text(encoding="utf-8")
    assert f"| as is | {plate['false_rejects']['as is']} of 4 |" in report


def test_another_configuration_is_told(sets: Path, config: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("accuracy", sets, out, "--config", str(config)) == 0
    capsys.readouterr()
    assert bench("accuracy", sets, out) == 2
    assert "holds a run with other options or other images" in " ".join(capsys.readouterr().err.split())


def test_a_bundle_of_other_weights_or_not_whole_is_made_anew(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bundle"
    made = []

    def export(run: Path, to: Path) -> None:
        made.append(run)
        shutil.copytree(out / "plate" / "bundle", to)

    monkeypatch.setattr(trained_set, "export_bundle", export)
    weights = open_bundle(out / "plate" / "bundle").manifest.training["weights_sha256"]
    for expected, digest in ((1, weights), (1, weights), (2, "another")):
        trained_set._bundle(out / "plate" / "run", path, digest, Console(quiet=True))
        assert len(made) == expected
    (path / "manifest.yaml").write_text("", encoding="utf-8")
    assert trained_set._bundle(out / "plate" / "run", path, weights, Console(quiet=True)).path == path
    assert len(made) == 3


def test_a_failed_calibration_gives_its_exit_code(
    sets: Path, config: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trained_set, "calibrate", lambda arguments: 2)
    assert bench("accuracy", sets, out, "--config", str(config)) == 2
    assert "plate/train/good: the calibration failed" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("what", ["accuracy", "robustness"])
def test_bad_input_is_told_before_anything_is_made(
    what: str, sets: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(words: str) -> bool:
        lines = capsys.readouterr().err.splitlines()
        return len(lines) == 1 and words in lines[0]

    out = tmp_path / "out"
    assert bench(what, tmp_path, out) == 2
    assert told("found none; correct --data")
    assert bench(what, sets, out, "--bundle", str(tmp_path)) == 2
    assert told("--bundle and --out")
    (tmp_path / "bad.yaml").write_text("stepz: 3", encoding="utf-8")
    assert bench(what, sets, out, "--config", str(tmp_path / "bad.yaml")) == 2
    assert told("did you mean `steps`?")
    assert not out.exists()
    (tmp_path / "file").touch()
    assert bench(what, sets, tmp_path / "file" / "out") == 2
    assert told("cannot write there")


def test_a_configuration_without_training_is_told(sets: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["accuracy", "--data", str(sets / "plate"), "--config", str(config)]) == 2
    assert "give --out DIR too" in capsys.readouterr().err
