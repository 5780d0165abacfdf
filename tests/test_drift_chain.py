"""Drift from pictures to words: calibrate, inspect a line on which something changes half-way, ask for advice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from calibration.cli import main as calibrate
from edge.cli import main as inspect
from tests.tiny_bundle import part_image, write_tiny_bundle

BEFORE, AFTER = 150, 300
Change = Callable[[np.ndarray, int], np.ndarray]


def other_lamp(picture: np.ndarray, number: int) -> np.ndarray:
    return np.clip(picture * np.array([0.85, 0.9, 0.92]), 0, 255).astype(np.uint8)


def more_defects(picture: np.ndarray, number: int) -> np.ndarray:
    return part_image(9000 + number, defect=number % 4 == 0)


def nothing(picture: np.ndarray, number: int) -> np.ndarray:
    return picture


class Station:
    """A calibrated bundle, and lines that run over it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bundle = write_tiny_bundle(folder / "bundle")
        self._pictures("normal", 350, 0, nothing)
        assert calibrate([str(folder / "normal"), "--bundle", str(self.bundle)]) == 0

    def _pictures(self, name: str, count: int, first_seed: int, change: Change, since: int = 0) -> Path:
        (self.folder / name).mkdir()
        for number in range(count):
            picture = part_image(first_seed + number)
            shown = change(picture, number) if number >= since else picture
            assert cv2.imwrite(str(self.folder / name / f"{number:04d}.png"), shown)
        return self.folder / name

    def run(self, change: Change) -> Path:
        """The verdicts of a line on which ``change`` comes after ``BEFORE`` parts."""
        log = self.folder / f"{change.__name__}.jsonl"
        if not log.exists():
            pictures = self._pictures(change.__name__, BEFORE + AFTER, 5000, change, since=BEFORE)
            arguments = ["--camera", f"file://{pictures}", "--bundle", str(self.bundle), "--dry-run", "--verdicts", str(log)]
            assert inspect(arguments) == 0
        return log


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Station:
    return Station(tmp_path_factory.mktemp("drift"))


def events(log: Path) -> list[dict[str, Any]]:
    return [record for record in map(json.loads, log.read_text().splitlines()) if "event" in record]


def advice(station: Station, capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, dict[str, Any], str]:
    capsys.readouterr()
    code = calibrate(["advise", *map(str, arguments), "--bundle", str(station.bundle)])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else {}, " ".join(err.split())


def test_other_light_that_moves_the_scores_is_told_and_advises_to_calibrate(
    station: Station, capsys: pytest.CaptureFixture[str]
) -> None:
    log = station.run(other_lamp)
    told = events(log)
    assert {event["drift"]["cause"] for event in told} == {"light"}
    assert told[-1]["drift"]["recalibrate"]
    assert "drift: the pictures are darker" in capsys.readouterr().err
    code, said, words = advice(station, capsys, log, "--report", station.folder / "light.png")
    assert (code, said["drift"]["cause"], said["recalibrate"]) == (4, "light", True)
    assert abs(said["drift"]["since"] - BEFORE) < 30
    assert said["false_rejects_at_most"] > 3 * said["promised"]
    assert said["rederived_share"] < 0.1
    assert "calibrate again if it is to stay so" in words
    assert cv2.imread(str(station.folder / "light.png")).shape == (800, 1500, 3)


def test_more_defects_are_told_and_are_no_reason_to_calibrate(station: Station, capsys: pytest.CaptureFixture[str]) -> None:
    log = station.run(more_defects)
    told = events(log)
    assert [(event["state"], event["drift"]["cause"]) for event in told] == [("began", "defects")]
    assert "calibrating again does not help" in capsys.readouterr().err
    code, said, _ = advice(station, capsys, log)
    assert (code, said["drift"]["cause"], said["drift"]["moved"]) == (0, "defects", {})
    assert AFTER / 4 <= said["rejected"] <= AFTER / 4 + 15  # the defects, and a few false rejects of the others


def test_a_line_without_a_change_is_quiet(station: Station, capsys: pytest.CaptureFixture[str]) -> None:
    log = station.run(nothing)
    assert events(log) == []
    code, said, words = advice(station, capsys, log)
    assert (code, said["drift"]) == (0, None)
    assert "no need to calibrate" in words


def test_a_torn_line_events_and_other_calibrations_are_passed_over(
    station: Station, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = station.run(nothing).read_text().splitlines()
    other = json.dumps(json.loads(lines[0]) | {"calibration_serial": 9})
    fault = json.dumps(json.loads(lines[0]) | {"scores": None, "outcome": "FAULT"})
    odd = ["[1]", '{"scores": 3}', "\udcff".encode(errors="surrogateescape").decode(errors="replace"), "[" * 100_000]
    odd += ['{"calibration_serial": 1e999, "scores": null}', json.dumps(json.loads(lines[0]) | {"wall_ns": 10**30})]
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_text("\n".join([other, fault, '{"event": "drift"}', *odd, *lines, lines[0][:40]]))
    code, said, words = advice(station, capsys, mixed)
    assert (code, said["parts"]) == (0, BEFORE + AFTER)
    assert "1 faults without scores, 1 of other calibrations, 7 unreadable lines" in words


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [], "expected verdicts, found none"),
        (lambda lines: lines[:99], "has judged 99 parts in this record, at least 100 are needed"),
        (
            lambda lines: [json.dumps(json.loads(line) | {"scores": None, "outcome": "FAULT"}) for line in lines[:3]],
            "calibration 1 has judged 0 parts in this record",
        ),
        (lambda lines: [line.replace('"threshold": ', '"threshold": 1') for line in lines], "give the record of this device"),
        (
            lambda lines: [line.replace('"calibration_serial": 1', '"calibration_serial": 7') for line in lines],
            "has no calibration 7",
        ),
    ],
)
def test_a_record_that_tells_nothing_is_one_line_and_exit_code_2(
    station: Station,
    tmp_path: Path,
    change: Callable[[list[str]], list[str]],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(change(station.run(nothing).read_text().splitlines())))
    code, _, words = advice(station, capsys, log)
    assert code == 2
    assert message in words


def test_missing_files_and_serials(station: Station, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, words = advice(station, capsys, "/nowhere.jsonl")
    assert (code, "cannot read it" in words) == (2, True)
    code, _, words = advice(station, capsys, station.run(nothing), "--serial", "3")
    assert (code, "there are of: 1" in words) == (2, True)
    code, _, words = advice(station, capsys, station.run(nothing), "--report", "/nowhere/x.png")
    assert (code, "cannot write /nowhere/x.png" in words) == (2, True)


def test_only_the_first_word_advise_is_the_command(station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "advise").mkdir()
    for number in range(60):
        cv2.imwrite(str(tmp_path / "advise" / f"{number}.png"), part_image(number))
    monkeypatch.chdir(tmp_path)
    assert calibrate(["./advise", "--bundle", str(station.bundle), "--dry-run"]) == 0
