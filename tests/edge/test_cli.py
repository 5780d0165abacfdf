"""edge-inspect as an operator and a service manager see it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.cli import main as calibrate
from edge import inspection
from edge.cli import main
from edge.clock import SystemClock
from edge.line.guarded_line import GuardedLine
from edge.live.companion import Companion
from edge.records.part_records import PartRecords
from tests.tiny_bundle import part_image


@pytest.fixture
def parts_dir(tmp_path: Path, write_parts: Callable[..., Path]) -> Path:
    """Two good parts and a defective one."""
    folder = write_parts(tmp_path / "parts", 2, first_seed=3)
    cv2.imwrite(str(folder / "900.png"), part_image(3, defect=True))
    return folder


def inspect(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("edge-inspect: ")]
    assert len(lines) == 1
    return lines[0]


def test_verdicts_come_as_json_lines_and_the_stand_in_is_announced(
    calibrated_dir: Path, parts_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect("--camera", f"file://{parts_dir}", "--bundle", calibrated_dir, "--gpio", "recording") == 0
    out, err = capsys.readouterr()
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["outcome"] for record in records] == ["PASS", "PASS", "REJECT"]
    assert records[2]["source"].endswith("900.png")
    assert "RECORDING GPIO: a stand-in" in err
    assert "3 frames: 2 PASS, 1 REJECT, 0 FAULT; lines are safe" in err
    assert "Traceback" not in err


def test_lines_are_safe_before_a_process_beside_that_hangs_is_waited_for(
    calibrated_dir: Path, parts_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []
    close = GuardedLine.close

    class Hanging(Companion):
        def start(self) -> None: ...

        def close(self) -> None:
            closed.append("companion")

    def safe(line: GuardedLine) -> None:
        closed.append("line")
        close(line)

    monkeypatch.setattr(GuardedLine, "close", safe)
    monkeypatch.setattr(inspection, "companions", lambda *_: [Hanging("page", "none", [], print, SystemClock())])
    assert inspect("--camera", f"file://{parts_dir}", "--bundle", calibrated_dir, "--gpio", "recording") == 0
    assert closed[0] == "line"
    assert "companion" in closed


def test_a_verdict_file_is_appended_to(calibrated_dir: Path, parts_dir: Path, tmp_path: Path) -> None:
    log = tmp_path / "verdicts.jsonl"
    for _ in range(2):
        arguments = (
            "--camera",
            f"file://{parts_dir}",
            "--bundle",
            calibrated_dir,
            "--dry-run",
            "--verdicts",
            log,
            "--max-frames",
            "2",
        )
        assert inspect(*arguments) == 0
    assert len(log.read_text().splitlines()) == 4


def test_a_full_disk_under_the_verdicts_is_told_at_the_end_and_fails(
    calibrated_dir: Path, parts_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--camera", f"file://{parts_dir}", "--bundle", calibrated_dir, "--dry-run", "--verdicts", "/dev/full")
    assert inspect(*arguments) == 1
    assert "3 verdicts were not written" in error_line(capsys)


def test_records_that_a_full_disk_did_not_take_are_told_at_the_end_and_fail(
    calibrated_dir: Path, parts_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(PartRecords, "_write", full)
    assert inspect("--camera", f"file://{parts_dir}", "--bundle", calibrated_dir, "--gpio", "recording") == 1
    assert "of part records were not written (database or disk is full)" in error_line(capsys)


def test_without_a_reject_line_it_does_not_start(calibrated_dir: Path, parts_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect("--camera", f"file://{parts_dir}", "--bundle", calibrated_dir) == 2
    assert "no reject line is configured" in error_line(capsys)


def test_a_dry_run_opens_no_line(calibrated_dir: Path, parts_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    station = tmp_path / "station.yaml"
    station.write_text("lines: {reject: {chip: no-such-chip, line: 1}}")
    source = ("--camera", f"file://{parts_dir}", "--bundle", calibrated_dir, "--station", station)
    assert inspect(*source, "--dry-run") == 0
    capsys.readouterr()
    assert inspect(*source) == 2
    assert "there is no GPIO chip 'no-such-chip'" in error_line(capsys)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--camera", "99"], "/dev/video99 does not exist"),
        (["--camera", "file:///nowhere"], "does not exist"),
        (["--precision", "int8"], "has no int8 model"),
        (["--bundle", "/nowhere"], "make one with edge-export"),
        (["--station", "/nowhere.yaml"], "cannot read it"),
        (["--verdicts", "/nowhere/x.jsonl"], "choose another file"),
        (["--state", "/nowhere"], "is not calibrated on this machine"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    calibrated_dir: Path, parts_dir: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    good = ["--camera", f"file://{parts_dir}", "--bundle", str(calibrated_dir), "--gpio", "recording"]
    assert inspect(*good, *arguments) == 2
    assert message in error_line(capsys)


def test_an_uncalibrated_bundle_and_a_changed_model_do_not_start(
    bundle_dir: Path, parts_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--camera", f"file://{parts_dir}", "--bundle", bundle_dir, "--dry-run")
    assert inspect(*arguments) == 2
    assert "run: calibrate" in error_line(capsys)
    with open(bundle_dir / "model.fp32.onnx", "ab") as file:
        file.write(b"\x00")
    assert inspect(*arguments) == 2
    assert "sha256 differs" in error_line(capsys)


def test_a_region_other_than_the_calibrated_one_does_not_start(
    calibrated_dir: Path, parts_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    station = tmp_path / "station.yaml"
    station.write_text("region: {x: 0, y: 0, width: 64, height: 64}")
    arguments = ("--camera", f"file://{parts_dir}", "--bundle", calibrated_dir, "--dry-run", "--station", station)
    assert inspect(*arguments) == 2
    assert "calibrate again, or correct the station file" in error_line(capsys)


def test_region_and_mask_are_used_alike_by_calibration_and_inspection(
    bundle_dir: Path, tmp_path: Path, write_parts: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    mask = np.zeros((96, 96), np.uint8)
    mask[24:56, 34:66] = 255  # where part_image draws its defect
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    station = tmp_path / "station.yaml"
    station.write_text("region: {x: 8, y: 8, width: 80, height: 80}\nignore_mask: mask.png")
    normal = write_parts(tmp_path / "normal", 60)
    assert calibrate([str(normal), "--bundle", str(bundle_dir), "--station", str(station)]) == 0
    defects = write_parts(tmp_path / "defects", 3, first_seed=3, defect=True)
    capsys.readouterr()
    assert inspect("--camera", f"file://{defects}", "--bundle", bundle_dir, "--station", station, "--dry-run") == 0
    outcomes = [json.loads(line)["outcome"] for line in capsys.readouterr().out.splitlines()]
    assert outcomes == ["PASS"] * 3


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("EDGE_INSPECT_")}
    command = [sys.executable, "-m", "edge.cli", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


@contextmanager
def killed_after_a_minute(process: subprocess.Popen[str]) -> Iterator[None]:
    """So that a process that hangs fails its test instead of the whole run."""
    killer = threading.Timer(60, process.kill)
    killer.start()
    try:
        yield
    finally:
        killer.cancel()


def wait_for(stream: object, text: str) -> None:
    """Read lines until one holds ``text``; the end of the stream fails the test.

    What the stream has read ahead is in its own buffer, where ``communicate()`` does not look: read on from the stream.
    """
    for line in iter(stream.readline, ""):  # type: ignore[attr-defined]
        if text in line:
            return
    pytest.fail(f"the process ended without saying {text!r}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly_while_it_runs(calibrated_dir: Path, tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), part_image(3))
    for index in range(20_000):
        os.link(folder / "a.png", folder / f"{index:05d}.png")
    process = start("--camera", f"file://{folder}", "--bundle", calibrated_dir, "--gpio", "recording")
    with killed_after_a_minute(process):
        wait_for(process.stdout, '"part_id": 3,')
        process.send_signal(number)
        rest = process.stdout.read().splitlines()
        _, err = process.communicate()
    assert process.returncode == 0
    assert "lines are safe" in err
    assert [json.loads(line)["part_id"] for line in rest] == list(range(4, len(rest) + 4))
    assert len(rest) < 20_000


def test_waiting_for_hardware_goes_on_until_it_is_there(calibrated_dir: Path, parts_dir: Path, tmp_path: Path) -> None:
    late = tmp_path / "late"
    process = start("--camera", f"file://{late}", "--bundle", calibrated_dir, "--gpio", "recording", "--wait-for-hardware")
    with killed_after_a_minute(process):
        wait_for(process.stderr, "waiting: ")
        parts_dir.rename(late)
        out, _ = process.communicate()
    assert process.returncode == 0
    assert len(out.splitlines()) == 3


def test_waiting_for_hardware_can_be_stopped(bundle_dir: Path, parts_dir: Path) -> None:
    process = start("--camera", f"file://{parts_dir}", "--bundle", bundle_dir, "--gpio", "recording", "--wait-for-hardware")
    with killed_after_a_minute(process):
        wait_for(process.stderr, "waiting: ")
        process.terminate()
        _, err = process.communicate()
    assert process.returncode == 0
    assert "stopped while waiting; lines are safe" in err


def test_a_pipe_that_nobody_reads_is_refused_at_once(
    calibrated_dir: Path, parts_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    arguments = ("--camera", f"file://{parts_dir}", "--bundle", calibrated_dir, "--dry-run", "--verdicts", tmp_path / "pipe")
    assert inspect(*arguments) == 2
    assert "choose another file" in error_line(capsys)


def test_a_file_name_that_is_no_text_breaks_nothing(calibrated_dir: Path, parts_dir: Path, tmp_path: Path) -> None:
    os.rename(parts_dir / "000.png", os.fsencode(parts_dir) + b"/000\xff.png")
    log = tmp_path / "verdicts.jsonl"
    assert inspect("--camera", f"file://{parts_dir}", "--bundle", calibrated_dir, "--dry-run", "--verdicts", log) == 0
    assert len(log.read_text().splitlines()) == 3


def test_a_calibration_made_while_it_runs_is_taken_without_losing_a_part(
    calibrated_dir: Path, tmp_path: Path, write_parts: Callable[..., Path]
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), part_image(3))
    for index in range(20_000):
        os.link(folder / "a.png", folder / f"{index:05d}.png")
    other = write_parts(tmp_path / "other", 60, first_seed=200)
    log = tmp_path / "verdicts.jsonl"
    process = start("--camera", f"file://{folder}", "--bundle", calibrated_dir, "--gpio", "recording", "--verdicts", log)
    with killed_after_a_minute(process):
        wait_for(process.stderr, "RECORDING")
        assert calibrate([str(other), "--bundle", str(calibrated_dir)]) == 0
        wait_for(process.stderr, "calibration 2 taken: threshold")
        process.terminate()
        process.communicate()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    records = [line for line in lines if "event" not in line]  # one picture for ever is told as a drift, too
    assert [record["part_id"] for record in records] == list(range(len(records)))
    assert not [record for record in records if record["outcome"] == "FAULT"]
    serials = [record["calibration_serial"] for record in records]
    assert serials == sorted(serials)
    # One picture, two slots: each serial comes with one threshold and one score, and with its own.
    pairs = {(record["calibration_serial"], record["threshold"], record["scores"]["score"]) for record in records}
    assert [serial for serial, _, _ in sorted(pairs)] == [1, 2]
