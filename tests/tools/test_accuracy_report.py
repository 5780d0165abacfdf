"""The table over several sets: what the mean is of, and how it looks in Markdown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.table import Table

pytest.importorskip("torch")
from rich.console import Console

from tools.benchmark import trained_set
from tools.benchmark.accuracy import ALL, Accuracy
from tools.benchmark.accuracy_report import AccuracyReport, SetAccuracy
from tools.benchmark.report_files import markdown
from tools.benchmark.trained_set import Settings
from tools.cost_model import GraphCost, Layer
from trainer.train_config import TrainConfig

pytestmark = pytest.mark.torch


def one_set(name: str, value: float, misses: int, pro: float | None, seconds: float | None) -> SetAccuracy:
    auroc = {"L1": value, "L2": value / 2, "L": value}
    accuracy = Accuracy({"dent": auroc, ALL: auroc}, {"dent": 4, ALL: 4}, {"dent": misses, ALL: misses}, 3, 60, 1.5, 0.02, pro, pro)
    return SetAccuracy(name, accuracy, seconds, GraphCost([Layer("conv", "trunk", 2_000_000_000, 1)], {"trunk": 900_000}))


@pytest.fixture
def report() -> AccuracyReport:
    return AccuracyReport([one_set("a", 1.0, 0, 0.5, None), one_set("b", 0.5, 1, None, 10.0)], Settings(TrainConfig()))


def test_the_mean_is_over_the_sets_that_have_the_figure(report: AccuracyReport) -> None:
    mean = report.mean()
    assert (mean["L1"], mean["L2"], mean["miss_rate"], mean["false_reject_rate"]) == (0.75, 0.375, 0.125, 0.05)
    assert (mean["pro"], mean["pixel_auroc"], mean["training_seconds"]) == (0.5, 0.5, 10.0)
    nothing = AccuracyReport(report.sets[1:], report.settings).mean()
    assert nothing["pro"] is None


def test_the_report_says_counts_and_rates(report: AccuracyReport, tmp_path: Path) -> None:
    report.write(tmp_path)
    assert json.loads((tmp_path / "accuracy.json").read_text(encoding="utf-8")) == report.to_json()
    rows = [line.split(" | ") for line in (tmp_path / "accuracy.md").read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    assert {len(row) for row in rows} == {13}
    assert [row[0] for row in rows[2:]] == ["| a", "| · dent", "| b", "| · dent", "| mean"]
    assert rows[4][5:8] == ["3 of 60 (5.0%)", "1 of 4 (25.0%)", "≤ 2.0%"]
    assert rows[4][8:] == ["–", "–", "10", "2.000", "0.900 |"]
    assert rows[6][5:8] == ["5.0%", "12.5%", "≤ 2.0%"]


def test_markdown_keeps_title_justification_and_bars() -> None:
    table = Table(title="both")
    table.add_column("name")
    table.add_column("two\nlines", justify="right")
    table.add_row("a|b", "1")
    assert markdown(table) == "**both**\n\n| name | two lines |\n| --- | ---: |\n| a\\|b | 1 |"


def test_seconds_are_kept_and_unknown_where_the_training_was_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(images: Path, run: Path, config: TrainConfig, console: Console) -> None:
        run.mkdir(exist_ok=True)
        (run / "run.yaml").touch()

    monkeypatch.setattr(trained_set, "train", train)

    def seconds(run: str) -> float | None:
        return trained_set._train(tmp_path, tmp_path / run, TrainConfig(), Console(quiet=True))

    first = seconds("new")
    assert first is not None
    assert seconds("new") == first
    (tmp_path / "resumed").mkdir()
    (tmp_path / "resumed" / "run.yaml").touch()
    assert seconds("resumed") is None
    assert seconds("resumed") is None
