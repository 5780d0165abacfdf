"""edge-inspect stats: what runs, what was recorded, and what there is to say where nothing runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.cli import main
from edge.live.live_status import StageTimes
from edge.live.stats_cli import table
from tests.edge.plant.plant_scene import Scene, status


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path / "state")
    yield scene
    scene.close()


def test_what_runs_and_what_was_recorded(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.answer(status(weaknesses={"plant mqtt": "broker\x1b[2J is away"}, drift="the light has changed"))
    scene.inspect(4)
    assert main(["stats", "--state", str(scene.state)]) == 0
    said = capsys.readouterr().out
    for words in (
        "running",
        "plant mqtt",
        "broker\ufffd[2J is away",
        "verdict PASS",
        "8.00 ms",
        "p99 ≤ 10 ms",
        "51.5 °C",
        "the light has changed",
    ):
        assert words in said, words


def test_as_json(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.answer(status())
    assert main(["stats", "--state", str(scene.state), "--json", "--hours", "87"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["running"]["outcomes"] == {"PASS": 7, "REJECT": 1, "FAULT": 1}
    assert said["records"]["parts"] == 0


def test_records_without_a_running_inspection(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", "--state", str(scene.state)]) == 1
    assert "not running" in capsys.readouterr().out


def test_nothing_at_all_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", "--state", str(tmp_path)]) == 2
    assert "edge-inspect does not answer there" in capsys.readouterr().err


def test_a_stage_that_took_longer_than_the_last_bin_or_never_ran() -> None:
    times = {"engine": StageTimes(counts=[0] * 15 + [1], total_ms=5000.0), "capture": StageTimes(counts=[0] * 16, total_ms=0.0)}
    rows = [str(one) for one in table(status(stages=times), None).columns[2].cells]
    assert any("p50 > 2000 ms" in one for one in rows)
