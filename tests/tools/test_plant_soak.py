"""A short soak with every protocol beside it, and what it says when a peer's account does not come out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.edge.plant.peers import needs_mosquitto
from tools.benchmark import plant_soak
from tools.benchmark.cli import main
from tools.benchmark.plant_peers import PROTOCOLS, Heard
from tools.benchmark.plant_soak import PlantSoak
from tools.benchmark.soak_account import Soak


@needs_mosquitto
def test_every_part_comes_to_every_peer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["plant", "--parts", "200", "--rate", "40", "--pairs", "0", "--out", str(tmp_path)])
    result = json.loads(capsys.readouterr().out)
    assert set(result["heard"]) == set(PROTOCOLS)
    for heard in result["heard"].values():
        assert (heard["parts"], heard["out of order"], heard["gaps"], heard["strangers"]) == (200, 0, 0, 0)
    assert json.loads((tmp_path / "plant.json").read_text()) == result
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_without_a_broker_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(plant_soak, "broker_command", lambda: None)
    assert main(["plant"]) == 2
    assert "there is no mosquitto" in capsys.readouterr().err


def test_what_a_peer_heard() -> None:
    heard = Heard(5, 10)
    for part_id in (10, 11, 11, 13, 12, 99):
        heard.take(part_id, part_id == 13)
    assert heard.to_json() == {"parts": 4, "again": 1, "out of order": 2, "gaps": 1, "strangers": 1}


def test_a_peer_that_missed_a_part_is_a_failure() -> None:
    soak = Soak(
        engine="e", parts=5, seconds=1.0, pace="", timing_ms={}, triggers={"given": 5, "accepted": 5}, verdicts=5, actions=5,
        records=5, records_that_differ=0, dropped=0, silent_passes=[], kinds={}, late_ms={"most": 0.0}, real_time=False,
        verdict_ms={"p50": 1.0}, memory_mb={"at 10 %": 1.0, "at the end": 1.0, "growth": 0.0}, said=[],
    )  # fmt: skip
    whole = {"parts": 5, "again": 2, "out of order": 0, "gaps": 0, "strangers": 0}
    outages = dict.fromkeys((*PROTOCOLS, "plant killed"), 1)
    good = PlantSoak(soak, dict.fromkeys(PROTOCOLS, whole), outages, [(1.0, 1.5), (2.0, 2.0)], [])
    assert good.failures == []
    assert good.to_json()["difference_ms"] == {"median": 0.25, "least": 0.0, "most": 0.5, "spread without": 1.0}
    for change in ({"parts": 4}, {"out of order": 1}, {"gaps": 1}, {"strangers": 1}):
        bad = replace(good, heard={**good.heard, "modbus": whole | change})
        assert bad.failures[0].startswith("modbus: ")
    assert len(replace(good, heard={}).failures) == len(PROTOCOLS)
