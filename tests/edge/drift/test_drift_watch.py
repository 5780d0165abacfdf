from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from edge.bundle import open_bundle
from edge.drift.drift_watch import DriftEvent, DriftWatch
from edge.slots.calibration_slot import SlotStore
from edge.slots.slot_record import SlotRecord
from edge.station_config import DriftConfig
from edge.verdict import Outcome, Scores, Verdict


@pytest.fixture
def record(calibrated_dir: Path) -> SlotRecord:
    return SlotStore(calibrated_dir.parent, open_bundle(calibrated_dir)).record(1)


class Watched:
    """A watch, the parts it is given and what it tells; a part a second."""

    def __init__(self, record: SlotRecord) -> None:
        self.record, self.events = record, list[DriftEvent]()
        self.watch = DriftWatch(DriftConfig(repeat_hours=1.0), self.events.append)
        self.median = {"map_mean": 0.0} | {name: one.quantiles[10] for name, one in record.baseline.items()}
        self.part = 0

    def run(self, parts: int, moved: bool = False, scores: Scores | None = None, faults: bool = False) -> list[str]:
        """Parts at the medians of the baseline; moved: with a brightness that no good image had. Returns the states told."""
        self.events.clear()
        figures = self.median | {"brightness": self.median["brightness"] + 0.5 * moved}
        for _ in range(parts):
            verdict = Verdict(
                part_id=self.part, outcome=Outcome.PASS, reason="", source="x", trigger_ns=0, exposed_ns=0,
                decided_ns=self.part * 1_000_000_000, wall_ns=self.part, threshold=self.record.threshold,
                calibration_serial=self.record.serial, scores=None if faults else scores or Scores(**figures),
            )  # fmt: skip
            self.watch.add(verdict, self.record)
            self.part += 1
        return [event.state for event in self.events]


def test_told_once_then_after_hours_then_when_it_is_over_and_again_when_it_is_back(record: SlotRecord) -> None:
    line = Watched(record)
    assert line.run(500) == []
    assert line.watch.short == ""
    assert line.run(1000, moved=True) == ["began"]
    assert "brighter" in line.events[0].message
    assert line.watch.short == "the light has changed"
    assert line.run(3600, moved=True) == ["lasts"]
    assert line.run(2000) == ["cleared"]
    assert line.watch.short == ""
    assert line.run(1000, moved=True) == ["began"]


def test_another_calibration_starts_afresh(record: SlotRecord) -> None:
    line = Watched(record)
    assert line.run(1000, moved=True) == ["began"]
    brighter = record.baseline["brightness"]
    brighter = brighter.model_copy(update={"quantiles": [one + 0.5 for one in brighter.quantiles]})
    line.median["brightness"] += 0.5
    line.record = record.model_copy(update={"serial": 2, "baseline": record.baseline | {"brightness": brighter}})
    assert line.run(2000) == []  # its median is the new light
    assert line.watch.short == ""


def test_the_event_is_a_line_of_json_that_no_verdict_is_taken_for(record: SlotRecord) -> None:
    line = Watched(record)
    line.run(1000, moved=True)
    content = json.loads(line.events[0].to_json())
    assert content["event"] == "drift"
    assert content["drift"]["cause"] == "light"
    assert content["calibration_serial"] == 1
    assert "outcome" not in content
    broken = replace(line.events[0], drift=replace(line.events[0].drift, moved={"brightness": (math.nan, 1.0)}))
    assert json.loads(broken.to_json())["drift"]["moved"]["brightness"] == [None, 1.0]


def test_faults_and_figures_that_are_none_tell_nothing(record: SlotRecord) -> None:
    line = Watched(record)
    assert line.run(500, faults=True) == []
    assert line.run(500, scores=Scores(*[math.nan] * 7)) == []
    assert line.run(500, scores=Scores(*[math.inf] * 7)) == []


def test_whatever_goes_wrong_inside_is_told_once_and_raises_nothing(record: SlotRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    line = Watched(record)
    line.run(1)
    monkeypatch.setattr("edge.drift.drift_detector.DriftMonitor.add", lambda *_: 1 / 0)
    assert line.run(100) == ["off"]
    assert "ZeroDivisionError" in line.events[0].message

    def refuse(event: DriftEvent) -> None:
        raise OSError("gone")

    line.watch = DriftWatch(DriftConfig(), refuse)
    assert line.run(100) == []
