"""What happened to each part of a soak, and what it came to."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table

from edge.line.part_tracker import Action, Finished
from edge.line.schedule_error import ScheduleError
from edge.verdict import Outcome, Verdict
from tools.benchmark.report_files import write_report
from tools.benchmark.soak_scene import Kind, Script

NAME = "soak"
MOST_GROWTH_MB = 5.0
NONE = 255
OUTCOMES, ACTIONS = list(Outcome), list(Action)
SHARES = (0.5, 0.99, 0.999)


@dataclass(frozen=True)
class Soak:
    """What came of it. kinds: kind of part → how many there were, with each verdict, and with each action.

    late_ms: how late the line changed, at each of SHARES and at most; verdict_ms: from the trigger to the verdict.
    """

    engine: str
    parts: int
    seconds: float
    pace: str
    timing_ms: dict[str, float]
    triggers: dict[str, int]
    verdicts: int
    actions: int
    records: int
    records_that_differ: int
    dropped: int
    silent_passes: list[int]
    kinds: dict[str, dict[str, int]]
    late_ms: dict[str, float]
    real_time: bool
    verdict_ms: dict[str, float]
    memory_mb: dict[str, float]
    said: list[str]

    @property
    def failures(self) -> list[str]:
        """What is not as it must be; a late action is not among it, since it stops a line and hides nothing."""
        counted = {"verdicts": self.verdicts, "actions": self.actions, "records": self.records}
        found = [f"{count} {what} of {self.parts} parts" for what, count in counted.items() if count != self.parts]
        given = self.triggers["given"] - sum(count for what, count in self.triggers.items() if what not in ("given", "accepted"))
        if given != self.parts or self.triggers["accepted"] != self.parts:
            found.append(f"{self.triggers} triggers, {self.parts} parts")
        if self.silent_passes:
            found.append(f"{len(self.silent_passes)} parts passed that must not, such as part {self.silent_passes[0]}")
        if self.records_that_differ or self.dropped:
            found.append(f"{self.records_that_differ} records differ from what happened, {self.dropped} were dropped")
        if self.memory_mb["growth"] >= MOST_GROWTH_MB:
            found.append(f"memory grew by {self.memory_mb['growth']:.1f} MB, allowed are {MOST_GROWTH_MB:g}")
        return found

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self) | {"parts_per_second": self.parts / self.seconds, "failures": self.failures}

    def tables(self) -> list[Table]:
        """Of kinds of parts, and of figures."""
        kinds = Table(title=f"{self.parts} parts on {self.engine}, {self.pace}")
        columns = ["parts", *(one.value for one in Outcome), *(one.value for one in Action)]
        for heading in ("part", *columns):
            kinds.add_column(heading, justify="left" if heading == "part" else "right")
        for kind, counts in self.kinds.items():
            kinds.add_row(kind, *(str(counts.get(column, 0)) for column in columns))
        figures = Table(title="NOT AS IT MUST BE: " + "; ".join(self.failures) if self.failures else "every part is accounted for")
        figures.add_column("figure")
        figures.add_column("value", justify="right")
        triggers = ", ".join(f"{count} {what}" for what, count in self.triggers.items())
        for name, value in (
            ("triggers", triggers),
            ("verdicts, actions, records", f"{self.verdicts}, {self.actions}, {self.records}"),
            ("silent passes", str(len(self.silent_passes))),
            ("late actions", str(sum(counts.get(Action.LATE.value, 0) for counts in self.kinds.values()))),
            ("parts a second", f"{self.parts / self.seconds:.1f}"),
            (
                "line changes late by, ms",
                _in_words(self.late_ms) + (", real-time" if self.real_time else ", no real-time priority"),
            ),
            ("trigger to verdict, ms", _in_words(self.verdict_ms)),
            ("memory, MB", f"{self.memory_mb['at 10 %']:.1f} at 10 %, {self.memory_mb['at the end']:.1f} at the end"),
            ("timing, ms", ", ".join(f"{name} {value:g}" for name, value in self.timing_ms.items())),
        ):
            figures.add_row(name, value)
        return [kinds, figures]

    def table(self) -> Group:
        """For people."""
        return Group(*self.tables())

    def write(self, out: Path) -> None:
        """soak.json and soak.md in ``out``; raises OutputError."""
        write_report(out, NAME, self.to_json(), self.tables(), "\n".join(f"- {one}" for one in self.said))


class Account:
    """What happened to each part of a script; all of it laid out before the first one, so that counting takes no memory."""

    def __init__(self, script: Script, first_part_id: int) -> None:
        self._script, self._first = script, first_part_id
        self.verdicts, self.outcomes, self.actions = (np.full(script.parts, NONE, np.uint8) for _ in range(3))
        self.twice = 0
        self.verdict_after = ScheduleError()

    def judged(self, verdict: Verdict) -> None:
        """The inspection's verdict."""
        self._note(self.verdicts, verdict.part_id, OUTCOMES.index(verdict.outcome))
        self.verdict_after.add(max(0, verdict.decided_ns - verdict.trigger_ns))
        self._script.judged += 1

    def left(self, finished: Finished) -> None:
        """It has left the arm."""
        outcome = finished.part.outcome or Outcome.FAULT
        self._note(self.outcomes, finished.part.part_id, OUTCOMES.index(outcome))
        self._note(self.actions, finished.part.part_id, ACTIONS.index(finished.action))

    def silent_passes(self) -> list[int]:
        """Parts that passed although they were bad, something was done to them, or their verdict was no PASS."""
        may = np.isin(self._script.kinds, [kind for kind in Kind if kind.may_pass])
        good = may & (self.outcomes == OUTCOMES.index(Outcome.PASS)) & (self.verdicts == OUTCOMES.index(Outcome.PASS))
        return [int(i) + self._first for i in np.flatnonzero((self.actions == ACTIONS.index(Action.PASSED)) & ~good)]

    def by_kind(self) -> dict[str, dict[str, int]]:
        """As Soak.kinds."""
        rows = {}
        for kind in Kind:
            here = self._script.kinds == kind
            if here.any():
                counts = Counter(OUTCOMES[i].value for i in self.verdicts[here] if i != NONE)
                counts.update(ACTIONS[i].value for i in self.actions[here] if i != NONE)
                rows[kind.words] = {"parts": int(here.sum()), **counts}
        return rows

    def compare(self, records: Path) -> tuple[int, int]:
        """How many parts the database ``records`` has, and how many of them it has otherwise than they happened."""
        differ = count = 0
        with closing(sqlite3.connect(f"file:{records}?mode=ro", uri=True)) as connection:
            for part_id, outcome, action in connection.execute("SELECT part_id, outcome, action FROM parts"):
                count += 1
                index = part_id - self._first
                if not 0 <= index < self._script.parts or NONE in (self.outcomes[index], self.actions[index]):
                    differ += 1
                else:
                    happened = OUTCOMES[self.outcomes[index]].value, ACTIONS[self.actions[index]].value
                    differ += (outcome, action) != happened
        return count, differ

    def _note(self, where: NDArray[np.uint8], part_id: int, value: int) -> None:
        index = part_id - self._first
        self.twice += int(where[index] != NONE)
        where[index] = value


def quantiles_ms(error: ScheduleError) -> dict[str, float]:
    """At each of SHARES and at most, milliseconds."""
    return {f"p{100 * share:g}": error.quantile_ns(share) / 1e6 for share in SHARES} | {"most": error.worst_ns / 1e6}


def _in_words(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in figures.items())
