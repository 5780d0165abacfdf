"""Every journalled part has exactly one record, whatever ends the program, and the records never hold up a part."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.clock import ManualClock, SystemClock
from edge.errors import OutputError, RecordsError
from edge.line.part_tracker import Action, Part
from edge.records.part_records import ENDED, FILE, PartRecords
from edge.records.part_schema import APPLICATION_ID, MIGRATIONS, VERSION
from edge.records.record_query import RecordQuery
from edge.records.records_config import RecordsConfig
from edge.verdict import Outcome, Scores, Verdict

Open = Callable[..., PartRecords]


def part(part_id: int) -> Part:
    return Part(part_id, 1000 + part_id, 2000, 7 * part_id, None, None)


def verdict(part_id: int, outcome: Outcome = Outcome.PASS, score: float = 0.5, reason: str = "") -> Verdict:
    scores = Scores(0.25, 0.125, score, 0.1, 0.5, 0.0, 1.0)
    return Verdict(part_id, outcome, reason, "camera#1", 1000 + part_id, 1500, 1700, 42, scores, 2.0, 3)


def rows(folder: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(f"file:{folder / FILE}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM parts ORDER BY part_id")]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    told: list[str] = []

    def open_records(
        folder: Path = tmp_path / "records", config: RecordsConfig | None = None, told: list[str] = told
    ) -> PartRecords:
        return PartRecords(folder, config or RecordsConfig(), ManualClock(), told.append)

    return open_records


def test_a_part_from_trigger_to_arm_is_one_row(opened: Open, tmp_path: Path) -> None:
    records = opened()
    assert (records.next_part_id, records.recovered) == (0, 0)
    records.accepted(part(0))
    records.decided(dataclasses.replace(verdict(0, Outcome.REJECT, 2.5, "score 2.5"), recipe="lid"), "fp16")
    records.finished(0, Outcome.REJECT, "score 2.5", Action.REJECTED, 0)
    records.confirmed(0, "confirmed")
    records.archived(0, "2026-11-24/ng/0.png")
    records.close()
    assert not (tmp_path / "records" / f"{FILE}-wal").exists()
    (row,) = rows(tmp_path / "records")
    assert row == {
        "part_id": 0, "trigger_ns": 1000, "exposed_ns": 1500, "decided_ns": 1700, "wall_ns": ManualClock().wall_ns(), "counts": 0,
        "feature_score": 0.25, "reconstruction_score": 0.125, "score": 2.5, "threshold": 2.0, "calibration_serial": 3,
        "precision": "fp16", "outcome": "REJECT", "reason": "score 2.5", "action": "rejected", "late_ns": 0, "confirm": "confirmed",
        "source": "camera#1", "image": "2026-11-24/ng/0.png", "recipe": "lid",
    }  # fmt: skip
    assert opened().next_part_id == 1


def test_what_is_not_a_number_is_null_and_a_part_without_verdict_is_a_fault(opened: Open, tmp_path: Path) -> None:
    records = opened()
    records.decided(verdict(4, Outcome.FAULT, math.nan, "not finite"), "fp32")
    records.finished(4, Outcome.FAULT, "not finite", None)
    records.accepted(part(5))
    records.finished(5, None, "", Action.UNKNOWN)
    records.close()
    four, five = rows(tmp_path / "records")
    assert (four["score"], four["action"], four["feature_score"]) == (None, "untracked", 0.25)
    assert (five["outcome"], five["reason"], five["action"]) == ("FAULT", ENDED, "unknown")


EVENTS = {
    "accepted": lambda records: records.accepted(part(0)),
    "pass": lambda records: records.decided(verdict(0), "fp32"),
    "fault": lambda records: records.decided(verdict(0, Outcome.FAULT, reason="late"), "fp32"),
    "finished": lambda records: records.finished(0, Outcome.FAULT, "late", Action.REJECTED, 0),
    "again": lambda records: records.finished(0, Outcome.PASS, "", Action.PASSED, 0),
}


@settings(max_examples=30)
@given(st.lists(st.sampled_from(sorted(EVENTS)), min_size=1, max_size=8))
def test_in_any_order_it_is_one_row_a_fault_stays_one_and_the_first_end_counts(
    tmp_path_factory: pytest.TempPathFactory, events: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("records")
    records = PartRecords(folder, RecordsConfig(), ManualClock(), lambda text: None)
    for event in events:
        EVENTS[event](records)
    records.close()
    (row,) = rows(folder)
    ends = [event for event in events if event in ("finished", "again")]
    if ends:
        assert row["action"] == {"finished": "rejected", "again": "passed"}[ends[0]]
        assert row["outcome"] == {"finished": "FAULT", "again": "PASS"}[ends[0]]
    else:
        expected = "FAULT" if "fault" in events else "PASS" if "pass" in events else None
        assert (row["outcome"], row["action"]) == (expected, None)
    if {"pass", "fault"} & set(events):
        assert row["score"] == 0.5


KILLED = """
import json, os, random, signal, sys, time
from pathlib import Path
from edge.clock import SystemClock
from edge.records.part_records import PartRecords
from edge.line.part_tracker import Action
from edge.records.records_config import RecordsConfig
from edge.verdict import Outcome
from tests.edge.records.test_part_records import part, rows, verdict

folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
random.seed(1)
known = {}  # part id -> what was in the database for certain

def work(pipe):
    records = PartRecords(folder, RecordsConfig(), SystemClock(), lambda text: None)
    os.write(pipe, f"start {records.next_part_id}\\n".encode())
    part_id = records.next_part_id
    while True:
        os.write(pipe, f"told {part_id}\\n".encode())
        records.accepted(part(part_id))
        steps = part_id % 3
        if steps > 0:
            records.decided(verdict(part_id), "fp32")
        if steps > 1:
            records.finished(part_id, Outcome.PASS, "", Action.PASSED, 0)
        if part_id % 7 == 0:
            assert records.flush(10)
            os.write(pipe, f"done {part_id}\\n".encode())
        part_id += 1

in_flight = 0
for _ in range(rounds):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            work(write)
        finally:
            os._exit(1)
    os.close(write)
    with os.fdopen(read) as said:
        first = int(said.readline().split()[1])
        time.sleep(random.uniform(0.0, 0.03))
        os.kill(child, signal.SIGKILL)
        words = [line.split() for line in said if line.endswith("\\n")]
        last = max([int(number) for word, number in words if word == "done"], default=first - 1)
        told = max([int(number) for word, number in words if word == "told"], default=first - 1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    records = PartRecords(folder, RecordsConfig(), SystemClock(), lambda text: None)
    in_flight += records.recovered
    assert records.next_part_id > max(last, told), (records.next_part_id, last, told)  # no number is given twice
    records.close()
    found = rows(folder)
    mine = [row["part_id"] for row in found if row["part_id"] >= first]
    assert mine == list(range(first, first + len(mine)))  # none twice, none lost, no gap
    for row in found:
        assert row["outcome"] and row["action"], row
        if row["action"] == "passed":
            assert row["outcome"] == "PASS" and row["part_id"] % 3 == 2
        else:
            assert row["action"] == "unknown"
            assert row["part_id"] > last or row["outcome"] == ("FAULT" if row["part_id"] % 3 == 0 else "PASS")
        if first <= row["part_id"] <= last:
            assert (row["action"] == "passed") == (row["part_id"] % 3 == 2)
    before = [row for row in found if row["part_id"] < first]
    assert before == known.get("rows", [])  # what was closed once stays as it is
    known["rows"] = found
print(json.dumps({"parts": len(found), "in_flight": in_flight}))
"""


def test_numbers_told_while_the_disk_was_full_are_never_given_again(opened: Open) -> None:
    records = opened()

    def full(_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    records._writer._write = full
    for part_id in range(20):
        records.accepted(part(part_id))
        records.decided(verdict(part_id), "fp32")
    records.close(timeout_s=0.1)
    records._given_back.close()  # killed: nothing more was written
    again = opened()
    assert again.next_part_id >= 20
    again.close()
    assert opened().next_part_id == again.next_part_id  # an end in order gives back what was not used


def test_a_killed_process_loses_no_journalled_part_and_none_is_there_twice(tmp_path: Path) -> None:
    """kill -9 at 25 moments of a process that records all the time."""
    command = [sys.executable, "-c", KILLED, str(tmp_path / "records"), "25"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["parts"] > 100
    assert found["in_flight"] > 25


def test_one_process_at_a_time(opened: Open) -> None:
    records = opened()
    with pytest.raises(RecordsError, match="another edge-inspect writes there"):
        opened()
    records.close()
    opened().close()


def test_records_of_an_older_version_are_read_as_they_are_and_brought_up_when_written(opened: Open, tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    with closing(sqlite3.connect(tmp_path / "records" / FILE)) as connection:
        connection.executescript(
            f"{MIGRATIONS[0]}; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1;"
            "INSERT INTO parts (part_id, wall_ns, outcome, action) VALUES (7, 5, 'PASS', 'passed')"
        )
    query = RecordQuery(tmp_path / "records" / FILE)
    before = list(query.parts(0, 10))
    assert [(row["part_id"], row["recipe"]) for row in before] == [(7, "")]
    opened().close()
    assert list(query.parts(0, 10)) == before
    with closing(sqlite3.connect(tmp_path / "records" / FILE)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_a_newer_version_and_another_programs_database_are_refused(opened: Open, tmp_path: Path) -> None:
    opened().close()
    path = tmp_path / "records" / FILE
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(RecordsError, match=f"version {VERSION + 1} are newer than this program's {VERSION}; update"):
        opened()
    other = tmp_path / "other" / FILE
    other.parent.mkdir()
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE parts (x)")
    with pytest.raises(RecordsError, match="another program's"):
        opened(tmp_path / "other")


@pytest.mark.parametrize("where", [0, 4096, 8192])
def test_a_damaged_database_is_set_aside_told_and_numbers_go_on_where_they_can_be_read(
    opened: Open, tmp_path: Path, where: int
) -> None:
    records = opened()
    for part_id in range(500):
        records.decided(verdict(part_id), "fp32")
    records.close()
    path = tmp_path / "records" / FILE
    content = bytearray(path.read_bytes())
    content[where : where + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    told: list[str] = []
    again = opened(told=told)
    if told:
        assert "is damaged" in told[0]
        assert (path.parent / "parts.damaged-20231114-221320.sqlite").read_bytes() == bytes(content)
    assert again.next_part_id == (0 if where == 0 else 500) or where == 4096
    again.accepted(part(again.next_part_id))
    assert again.flush(5)
    again.close()
    assert where != 0 or told


def test_the_disk_is_full_then_free_again(tmp_path: Path) -> None:
    """SQLite's own limit of the file stands for the disk: the same answer, by the same path."""
    told: list[str] = []
    records = PartRecords(tmp_path, RecordsConfig(), ManualClock(), told.append)
    records._connection.execute("PRAGMA max_page_count = 1")
    for part_id in range(2000):
        records.decided(verdict(part_id), "fp32")
    while not told:
        assert not records.flush(0.01)
    assert isinstance(records.failure, sqlite3.OperationalError)
    assert "database or disk is full" in told[0]
    records._connection.execute("PRAGMA max_page_count = 100000")
    assert records.flush(10)
    records.close()
    assert len(rows(tmp_path)) == 2000
    assert (records.dropped, len(told)) == (0, 2)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write there"):
        PartRecords(tmp_path / "file" / "records", RecordsConfig(), ManualClock(), print)


def test_the_file_is_bounded_and_parts_in_flight_stay(tmp_path: Path) -> None:
    clock = ManualClock()
    records = PartRecords(tmp_path, RecordsConfig(keep_parts=1000, keep_days=1), clock, print)
    records.accepted(part(0))
    for part_id in range(1, 6000):
        records.finished(part_id, Outcome.PASS, "", Action.PASSED)
    assert records.flush(10)
    while records._remove_old():
        pass
    assert [row["part_id"] for row in rows(tmp_path)] == [0, *range(5000, 6000)]
    clock.advance_ms(25 * 3600 * 1000)
    records.finished(6000, Outcome.PASS, "", Action.PASSED)
    assert records.flush(10)
    while records._remove_old():
        pass
    assert [row["part_id"] for row in rows(tmp_path)] == [0, 6000]
    records.close()


def test_numbers_that_jumped_take_no_room(tmp_path: Path) -> None:
    records = PartRecords(tmp_path, RecordsConfig(keep_parts=1000), ManualClock(), print)
    for part_id in [*range(600), *range(60_000, 60_400)]:
        records.finished(part_id, Outcome.PASS, "", Action.PASSED)
    assert records.flush(10)
    assert not records._remove_old()
    assert len(rows(tmp_path)) == 1000
    records.finished(60_400, Outcome.PASS, "", Action.PASSED)
    assert records.flush(10)
    records._remove_old()
    assert [row["part_id"] for row in rows(tmp_path)] == [*range(1, 600), *range(60_000, 60_401)]
    records.close()


def test_the_log_is_synced_soon_after_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut keeps what was synced, so that it is, and after the last record, is the proof."""
    synced = threading.Event()
    fsync = os.fsync

    def traced(handle: int) -> None:
        name = Path(os.readlink(f"/proc/self/fd/{handle}")).name
        fsync(handle)
        if name == f"{FILE}-wal" and len(rows(tmp_path)) == 3:
            synced.set()

    monkeypatch.setattr(os, "fsync", traced)
    records = PartRecords(tmp_path, RecordsConfig(), SystemClock(), print)
    for part_id in range(3):
        records.accepted(part(part_id))
    assert synced.wait(5)
    records.close()
