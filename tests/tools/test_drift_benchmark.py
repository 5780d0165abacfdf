from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from edge.drift.drift_detector import FIGURES
from edge.verdict import Scores
from tools.benchmark import drift
from tools.benchmark.drift_simulation import CHANGES, DEVIATION, Calibration, Line, false_alarms, first_alarms, told


@pytest.mark.parametrize("size", [0.0, 0.4, 1.0, -1.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_whole_run_at_once_alarms_where_the_monitor_does(size: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    line = Line("heavy", 0.5, 200)
    calibration = Calibration.of(line, random)
    figures = {name: line.draw(random, 1500) + size * DEVIATION * (np.arange(1500) > 300) for name in FIGURES}
    figures["score"] = np.minimum(figures["score"], 0.999 * calibration.threshold)  # without rejects the two see the same parts
    monitor, alarm = calibration.monitor(), None
    for part in range(1500):
        monitor.add(Scores(map_mean=0.0, **{name: float(values[part]) for name, values in figures.items()}), part)
        if alarm is None and monitor.drift() is not None:
            alarm = part
    expected, _ = first_alarms(calibration, figures)
    if expected is None:
        assert alarm is None
    else:
        assert alarm == pytest.approx(expected, abs=2)  # the monitor's resolutions are small here, and not nothing


def test_a_simulated_line_has_the_deviation_and_correlation_it_says() -> None:
    for shape in ("normal", "heavy"):
        values = Line(shape, 0.5, 60).draw(np.random.default_rng(0), 400_000)
        assert values.std() == pytest.approx(DEVIATION, rel=0.05)
        assert np.corrcoef(values[1:], values[:-1])[0, 1] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    "change", [one for one in CHANGES if one.deviations == 2.0 or one.defects >= 0.1], ids=lambda one: one.name
)
def test_each_change_is_told_within_minutes_and_by_its_name(change: drift.Change) -> None:
    random = np.random.default_rng(7)
    found = told(Calibration.of(Line("normal", 0.5, 600), random), change, 200, 1500, random)
    assert found is not None
    assert 0 < found[0] < 600
    assert found[1] is change.expected


def test_a_line_without_a_change_is_quiet_for_a_day() -> None:
    random = np.random.default_rng(3)
    assert false_alarms(Calibration.of(Line("normal", 0.5, 600), random), 86_400, random) == (None, None)


def test_the_report_counts_what_was_simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "LINES", [Line("normal", 0.0, 200)])
    monkeypatch.setattr(drift, "CHANGES", CHANGES[2:3])
    monkeypatch.setattr(drift, "RUN_PARTS", 3000)
    monkeypatch.setattr(drift, "TRIALS", 2)
    drift.measure_drift(tmp_path, 2, Console(quiet=True))
    content = json.loads((tmp_path / "drift.json").read_text())
    assert content["false_alarms"][0]["figure_parts"] == 6000
    assert content["changes"][0]["causes"] == {"light": 2}
    assert "> 0.002 million" in (tmp_path / "drift.md").read_text()
