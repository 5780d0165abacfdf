"""The accuracy of several sets in one table, each trained, exported and calibrated here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from tools.benchmark.accuracy import ALL, FIGURES, Accuracy, measure_accuracy
from tools.benchmark.labelled_set import LabelledSet
from tools.benchmark.report_files import write_report
from tools.benchmark.trained_set import Settings, train_set
from tools.cost_model import GraphCost

NAME = "accuracy"
NONE = "–"
HEADINGS = (
    "set", "images", *(f"AUROC\n{figure}" for figure in FIGURES.values()), "good parts\nrejected", "defects\nmissed",
    "rejects\npromised", "pixel\nAUROC", "PRO\nto 0.3", "training\nseconds", "GMAC", "million\nparameters",
)  # fmt: skip
NOTES = """\
Images: defective ones of test/. AUROC L1, L2, L: of an image's scores, good against defective. Rejected and missed: at the
calibrated threshold. Promised: the rate of rejected good parts that the calibration says will not be exceeded. Pixel AUROC and
PRO: of the anomaly map, upsampled bilinearly to the masks; PRO is the per-region overlap, integrated to a false-positive rate of
0.3 and normalised. Seconds: of the training as it ran, on whatever else the machine did. GMAC: 10⁹ multiply-adds an image.
The mean is over sets, each counting once; for pixels, over those with masks."""


@dataclass(frozen=True)
class SetAccuracy:
    """One set's figures. training_seconds: None where the training was cut off and resumed."""

    name: str
    accuracy: Accuracy
    training_seconds: float | None
    cost: GraphCost

    def figures(self) -> dict[str, float | None]:
        """What the mean is taken of: name → value, None where the set has none."""
        accuracy = self.accuracy
        return {
            **accuracy.auroc[ALL],
            "false_reject_rate": accuracy.false_reject_rate,
            "miss_rate": accuracy.miss_rate,
            "promised_false_reject_rate": accuracy.promised_false_reject_rate,
            "pixel_auroc": accuracy.pixel_auroc,
            "pro": accuracy.pro,
            "training_seconds": self.training_seconds,
            **self.cost.totals(),
        }


@dataclass(frozen=True)
class AccuracyReport:
    """The sets in the order they were measured, all under ``settings``."""

    sets: list[SetAccuracy]
    settings: Settings

    def mean(self) -> dict[str, float | None]:
        """Mean over the sets that have the figure; None where none has."""
        columns = [one.figures() for one in self.sets]
        known = {name: [v for column in columns if (v := column[name]) is not None] for name in columns[0]}
        return {name: float(np.mean(values)) if values else None for name, values in known.items()}

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "config": self.settings.config.model_dump(),
            "sets": {
                one.name: {**one.accuracy.to_json(), "training_seconds": one.training_seconds, **one.cost.totals()}
                for one in self.sets
            },
            "mean": self.mean(),
        }

    def table(self) -> Table:
        """For people: a bold row for each set, its defects below, the mean at the end."""
        table = Table()
        for heading in HEADINGS:
            table.add_column(heading, justify="left" if heading == "set" else "right")
        for one in self.sets:
            accuracy, figures = one.accuracy, one.figures()
            rejected = f"{accuracy.false_rejects} of {accuracy.good} ({accuracy.false_reject_rate:.1%})"
            missed = f"{accuracy.misses[ALL]} of {accuracy.images[ALL]} ({accuracy.miss_rate:.1%})"
            table.add_row(one.name, str(accuracy.images[ALL]), *_cells(figures, rejected, missed), style="bold")
            for defect, auroc in accuracy.auroc.items():
                if defect != ALL:
                    values = (f"{auroc[label]:.4f}" for label in FIGURES.values())
                    count = accuracy.images[defect]
                    table.add_row(f"· {defect}", str(count), *values, "", f"{accuracy.misses[defect]} of {count}", *[""] * 6)
            table.add_section()
        mean = self.mean()
        table.add_row("mean", "", *_cells(mean, _percent(mean["false_reject_rate"]), _percent(mean["miss_rate"])), style="bold")
        return table

    def write(self, out: Path) -> None:
        """accuracy.json and accuracy.md in ``out``; raises OutputError."""
        write_report(out, NAME, self.to_json(), [self.table()], NOTES)


def measure_sets(sets: list[LabelledSet], out: Path, settings: Settings, console: Console) -> AccuracyReport:
    """Train and measure each of ``sets`` in a folder of its name in ``out``; the report is written after each."""
    done: list[SetAccuracy] = []
    for number, labelled in enumerate(sets, 1):
        console.rule(f"{number} of {len(sets)} · {escape(labelled.name)}")
        trained = train_set(labelled.folder, out / labelled.name, settings, console)
        with trained.opened() as (engine, view, slot), Progress(console=console, transient=True) as bars:
            task = bars.add_task("test images", total=len(labelled))
            accuracy = measure_accuracy(engine, view, slot, labelled, lambda: bars.advance(task))  # noqa: B023 - called here
        done.append(SetAccuracy(labelled.name, accuracy, trained.training_seconds, trained.cost))
        AccuracyReport(done, settings).write(out)
    return AccuracyReport(done, settings)


def _cells(figures: dict[str, float | None], rejected: str, missed: str) -> list[str]:
    seconds, macs, parameters = figures["training_seconds"], figures["macs"], figures["parameters"]
    return [
        *(_plain(figures[label]) for label in FIGURES.values()),
        rejected,
        missed,
        f"≤ {_percent(figures['promised_false_reject_rate'])}",
        _plain(figures["pixel_auroc"]),
        _plain(figures["pro"]),
        NONE if seconds is None else f"{seconds:.0f}",
        NONE if macs is None else f"{macs / 1e9:.3f}",
        NONE if parameters is None else f"{parameters / 1e6:.3f}",
    ]


def _plain(value: float | None) -> str:
    return NONE if value is None else f"{value:.4f}"


def _percent(value: float | None) -> str:
    return NONE if value is None else f"{value:.1%}"
