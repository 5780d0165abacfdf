"""How often the drift monitor cries wolf, and how soon it tells a change and calls it by its name; measured on simulated lines."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
from rich.console import Console, Group
from rich.progress import Progress
from rich.table import Table

from edge.drift.drift_detector import FIGURES
from tools.benchmark.drift_simulation import CHANGES, Calibration, Change, Line, Shape, false_alarms, told
from tools.benchmark.report_files import write_report

NAME = "drift"
SHAPES: tuple[Shape, ...] = ("normal", "heavy")
LINES = [Line(*one) for one in product(SHAPES, (0.0, 0.5), (60, 200, 600))]
RUN_PARTS = 500_000
BEFORE, AFTER = 200, 2000
TRIALS = 20
NOTES = f"""\
Each run has a calibration of its own, drawn from the same process as its parts, with the six figures independent of each other,
which is the worst case. AR(1) 0.5: parts in a row resemble each other, those of the calibration too. Heavy: Student's t with 3
degrees of freedom.
False alarms: runs of {RUN_PARTS:,} parts without any change, until the first alarm; parts to one is the estimate for exponential
times, and the 95 % bound where there was none. Rejects alarm where a calibration's real rate is above its promise, which
the promise allows in 5 % of them, and in more of those whose images resemble each other.
Changes: {BEFORE} parts without, then {AFTER:,} with; {TRIALS} trials each. Parts until told, over those told; missed: not told."""


@dataclass(frozen=True)
class FalseAlarms:
    """Of one line. Parts until the first alarm or the end, summed over ``runs``, and how many runs had one."""

    line: Line
    runs: int
    figure_parts: int
    figure_alarms: int
    reject_parts: int
    reject_alarms: int


@dataclass(frozen=True)
class Telling:
    """Of one change on one line: parts until told in each trial in which it was, and what was told how often."""

    line: Line
    change: Change
    trials: int
    delays: list[int]
    causes: dict[str, int]


@dataclass(frozen=True)
class DriftBenchmark:
    """Everything measured."""

    alarms: list[FalseAlarms]
    tellings: list[Telling]

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "false_alarms": [asdict(one) for one in self.alarms],
            "changes": [
                asdict(one) | {"change": asdict(one.change) | {"expected": one.change.expected.value}} for one in self.tellings
            ],
        }

    def table(self) -> Group:
        """For people."""
        return Group(*self._tables())

    def write(self, out: Path) -> None:
        """drift.json and drift.md in ``out``; raises OutputError."""
        write_report(out, NAME, self.to_json(), self._tables(), NOTES)

    def _tables(self) -> tuple[Table, ...]:
        alarms = Table(title="parts to a false alarm")
        for heading in (
            "line",
            "images",
            "runs",
            f"alarms of\n{len(FIGURES)} figures",
            "parts\nto one",
            "alarms of\nrejects",
            "parts\nto one",
        ):
            alarms.add_column(heading, justify="left" if heading == "line" else "right")
        for one in self.alarms:
            alarms.add_row(
                _name(one.line), str(one.line.images), str(one.runs),
                str(one.figure_alarms), _run_length(one.figure_parts, one.figure_alarms),
                str(one.reject_alarms), _run_length(one.reject_parts, one.reject_alarms),
            )  # fmt: skip
        return alarms, *(self._telling(line) for line in dict.fromkeys(one.line for one in self.tellings))

    def _telling(self, line: Line) -> Table:
        table = Table(title=f"{_name(line)}, {line.images} images")
        for heading in ("change", "median parts", "9 of 10", "missed", "told before", "right name", "called otherwise"):
            table.add_column(heading, justify="left" if heading in ("change", "called otherwise") else "right")
        for one in (one for one in self.tellings if one.line == line):
            delays = [delay for delay in one.delays if delay > 0]
            median, most = (f"{value:.0f}" for value in np.quantile(delays, (0.5, 0.9))) if delays else ("–", "–")
            right = one.causes.get(one.change.expected.value, 0)
            others = ", ".join(f"{count} {name}" for name, count in one.causes.items() if name != one.change.expected.value)
            missed, early = one.trials - len(one.delays), len(one.delays) - len(delays)
            table.add_row(one.change.name, median, most, str(missed), str(early), f"{right} of {len(one.delays)}", others)
        return table


def measure_drift(out: Path, runs: int, console: Console) -> DriftBenchmark:
    """Simulate and write the report into ``out``; ``runs`` of each line. Seeded: the same figures every time."""
    alarms, tellings = [], []
    with Progress(console=console, transient=True) as bars:
        task = bars.add_task("false alarms", total=len(LINES) * runs)
        for line in LINES:
            firsts = []
            for run in range(runs):
                random = np.random.default_rng(run)
                firsts.append(false_alarms(Calibration.of(line, random), RUN_PARTS, random))
                bars.advance(task)
            figures, rejects = ([RUN_PARTS if one is None else one + 1 for one in column] for column in zip(*firsts, strict=True))
            counts = [sum(one is not None for one in column) for column in zip(*firsts, strict=True)]
            alarms.append(FalseAlarms(line, runs, sum(figures), counts[0], sum(rejects), counts[1]))
        task = bars.add_task("changes", total=len(LINES) * len(CHANGES))
        for line, change in product(LINES, CHANGES):
            tellings.append(_measure(line, change))
            bars.advance(task)
    result = DriftBenchmark(alarms, tellings)
    result.write(out)
    return result


def _measure(line: Line, change: Change) -> Telling:
    delays: list[int] = []
    causes: Counter[str] = Counter()
    for trial in range(TRIALS):
        random = np.random.default_rng(trial)
        found = told(Calibration.of(line, random), change, BEFORE, AFTER, random)
        if found is not None:
            delays.append(found[0])
            causes[found[1].value] += 1
    return Telling(line, change, TRIALS, delays, dict(causes))


def _name(line: Line) -> str:
    return f"{line.shape}, {f'AR(1) {line.correlation:g}' if line.correlation else 'independent'}"


def _run_length(parts: int, alarms: int) -> str:
    length = parts / (alarms or 3)  # no event in n parts: the rate is below 3/n with 95 % confidence
    return f"{'' if alarms else '> '}{length / 1e6:.2g} million"
