"""Every part is told once and in order, or told as missing, whatever crashes, is removed, damaged or away in between."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.clock import ManualClock
from edge.errors import OutputError, RecordsError
from edge.line.part_tracker import Action, Part
from edge.plant.outbox import KILLED, REMOVED, UNKNOWN, Outbox
from edge.plant.part_result import PartResult, Place, utc
from edge.plant.told_place import SYNC_NS, ToldPlace
from edge.records.part_records import FILE, PartRecords
from edge.records.records_config import RecordsConfig
from edge.verdict import Outcome, Scores, Verdict


def verdict(part_id: int, outcome: Outcome = Outcome.PASS) -> Verdict:
    scores = Scores(0.25, 0.125, 0.5, float("nan"), 0.5, 0.0, 1.0)
    return Verdict(part_id, outcome, "", "camera#1", 1000, 1500, 1700, 42, scores, 2.0, 3, recipe="lid")


class Line:
    """An inspection that writes real records, and can end in bad ways."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, ManualClock()
        self.flying: list[int] = []
        self.done: list[Place] = []
        """Place of every part that was ever done."""
        self.said: list[str] = []
        self.start()

    def start(self) -> None:
        self.records = PartRecords(self.folder, RecordsConfig(), self.clock, self.said.append)
        self.first = self.next = self.records.next_part_id

    def see(self) -> None:
        self.clock.advance_ms(1)
        self.records.accepted(Part(self.next, 1000, 2000, None, None, None))
        self.flying.append(self.next)
        self.next += 1

    def finish(self) -> None:
        if self.flying:
            part_id = self.flying.pop(0)
            self.records.decided(verdict(part_id), "fp32")
            self.records.finished(part_id, Outcome.PASS, "", Action.PASSED, None)
            self.note(part_id)

    def lose_end(self) -> None:
        """What the disk did not take in time."""
        if self.flying:
            self.note(self.flying.pop(0))

    def note(self, part_id: int) -> None:
        self.records.flush(10)
        wall_ns = self.sql("SELECT wall_ns FROM parts WHERE part_id = ?", part_id)[0][0]
        (records_id,) = self.sql("SELECT records_id FROM numbering")[0]
        self.done.append(Place(records_id, part_id, wall_ns))

    def sql(self, statement: str, *values: int) -> list[Any]:
        self.records.flush(10)
        with closing(sqlite3.connect(self.folder / FILE, isolation_level=None)) as connection:
            return connection.execute(statement, values).fetchall()

    def restart(self) -> None:
        self.records.close()
        self.start()
        for part_id in self.flying:
            self.note(part_id)
        self.flying.clear()

    def kill(self) -> None:
        """As a killed process leaves it: numbers are set aside, and the next run accounts for what was in flight."""
        first = self.sql("SELECT first_part_id FROM numbering")[0][0]
        self.records.close()
        self.sql("UPDATE numbering SET first_part_id = ?", first)
        self.start()
        for part_id in self.flying:
            self.note(part_id)
        self.flying.clear()

    def remove_old(self) -> None:
        self.sql("DELETE FROM parts WHERE action IS NOT NULL AND part_id < (SELECT max(part_id) FROM parts)")

    def set_aside(self, readable: bool) -> None:
        self.records.flush(10)
        highest = self.next - 1 if readable else -1
        self.flying.clear()
        self.records.close()
        for path in self.folder.glob(f"{FILE}*"):
            path.unlink()
        self.start()
        if readable:
            self.sql("UPDATE numbering SET first_part_id = ?", highest + 1)
            self.restart()


class Peer:
    """A protocol and who listens to it: both may be away, and the protocol may be killed."""

    def __init__(self, line: Line, file: Path) -> None:
        self.line, self.file, self.heard = line, file, list[PartResult]()
        self.start()

    def start(self) -> None:
        self.outbox = Outbox(self.line.folder / FILE, self.line.first)
        self.told = ToldPlace(self.file, self.outbox.begin(), self.line.clock)

    def tell(self, most: int) -> None:
        for part in self.outbox.after(self.told.place, most):
            self.outbox.sync()
            self.heard.append(part)
            self.told.move(part.place)

    def kill(self) -> None:
        self.outbox.close()
        self.told.close()
        self.start()


def account(line: Line, heard: list[PartResult]) -> None:
    """Once, in order, and what is missing is said."""
    seen: set[str] = set()
    last: PartResult | None = None
    covered: set[int] = set()
    unknown = False
    for part in heard:
        repeated = part.key in seen
        seen.add(part.key)
        if part.gap is not None:
            covered.update(range(part.gap.expected, part.part_id))
            unknown = unknown or part.gap.reason == UNKNOWN
        elif last is not None and not repeated:
            assert part.place[:2] == (last.place[0], last.part_id + 1)
        last = part if not repeated or last is None else last
    places = [part.place for part in heard]
    firsts = list(dict.fromkeys(places))
    order = {place: index for index, place in enumerate(line.done)}
    assert [order[place] for place in firsts] == sorted(order[place] for place in firsts)
    missing = [place for place in line.done if place not in firsts and place.part_id not in covered]
    assert not missing or unknown, missing


OPS = ("see", "finish", "see", "finish", "lose_end", "restart", "kill", "remove_old", "set aside", "set aside, unreadable")


@settings(max_examples=50)
@given(st.lists(st.sampled_from([*OPS, "tell 1", "tell 3", "tell 3", "keep", "kill peer"]), max_size=40))
def test_every_part_is_told_once_in_order_or_told_as_missing(tmp_path_factory: pytest.TempPathFactory, ops: list[str]) -> None:
    folder = tmp_path_factory.mktemp("outbox")
    line = Line(folder / "records")
    peer = Peer(line, folder / "plant" / "peer.sqlite")
    for op in ops:
        if op.startswith("tell"):
            peer.tell(int(op[-1]))
        elif op == "keep":
            peer.told.sync()
        elif op == "kill peer":
            peer.kill()
        elif op.startswith("set aside"):
            line.set_aside(readable="un" not in op)
            peer.kill()
        else:
            getattr(line, op)()
            if op in ("restart", "kill"):
                peer.kill()
    line.see()
    while line.flying:
        line.finish()
    peer.tell(1000)
    account(line, peer.heard)
    line.records.close()
    peer.outbox.close()
    peer.told.close()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    line = Line(tmp_path / "records")
    yield line
    line.records.close()


@pytest.fixture
def outbox(line: Line) -> Iterator[Outbox]:
    outbox = Outbox(line.folder / FILE, line.first)
    yield outbox
    outbox.close()


def test_a_part_is_told_when_it_is_done_and_not_before(line: Line, outbox: Outbox) -> None:
    line.see()
    line.records.decided(verdict(0, Outcome.REJECT), "fp16")
    line.records.flush(10)
    assert outbox.after(outbox.begin(), 10) == []
    line.records.finished(0, Outcome.FAULT, "too late", Action.LATE, 1_500_000)
    line.records.flush(10)
    (part,) = outbox.after(outbox.begin(), 10)
    wall_ns, records_id = ManualClock().wall_ns() + 1_000_000, outbox.begin().records_id
    assert json.loads(part.model_dump_json()) == {
        "schema_version": 1, "key": f"{records_id}-0-{wall_ns}", "part_id": 0, "time": utc(wall_ns), "outcome": "FAULT",
        "reason": "too late", "action": "late", "late_ms": 1.5, "score": 0.5, "threshold": 2.0, "feature_score": 0.25,
        "reconstruction_score": 0.125, "calibration_serial": 3, "precision": "fp16", "recipe": "lid", "source": "camera#1",
        "gap": None,
    }  # fmt: skip
    assert part.place == (records_id, 0, wall_ns)


def test_parts_removed_before_they_were_told_are_a_gap(line: Line, outbox: Outbox) -> None:
    for _ in range(3):
        line.see()
        line.finish()
    line.remove_old()
    (part,) = outbox.after(outbox.begin(), 10)
    assert part.part_id == 2
    assert part.gap is not None
    assert (part.gap.expected, part.gap.reason) == (0, REMOVED)


def test_a_part_whose_end_was_lost_holds_up_no_other(line: Line, outbox: Outbox) -> None:
    for _ in range(3):
        line.see()
    line.finish()
    line.lose_end()
    (first,) = outbox.after(outbox.begin(), 10)
    assert first.part_id == 0
    line.finish()
    (second,) = outbox.after(first.place, 10)
    assert (second.part_id, second.gap and second.gap.expected) == (2, 1)


def test_numbers_that_a_killed_run_had_set_aside_are_told_as_such(line: Line, tmp_path: Path) -> None:
    peer = Peer(line, tmp_path / "peer.sqlite")
    line.see()
    line.finish()
    line.see()
    line.kill()
    peer.kill()
    line.see()
    line.finish()
    peer.tell(10)
    assert [part.part_id for part in peer.heard] == [0, 1, line.first]
    assert [part.gap and (part.gap.expected, part.gap.reason) for part in peer.heard] == [None, None, (2, KILLED)]
    assert peer.heard[1].action == "unknown"
    peer.outbox.close()
    peer.told.close()


def test_numbers_that_begin_anew_after_damage_are_not_taken_for_parts_that_were_told(line: Line, tmp_path: Path) -> None:
    for _ in range(5):
        line.see()
        line.finish()
    peer = Peer(line, tmp_path / "peer.sqlite")
    peer.tell(10)
    peer.told.sync()
    line.set_aside(readable=False)
    peer.kill()
    for _ in range(7):
        line.see()
        line.finish()
    peer.tell(10)
    assert [part.part_id for part in peer.heard] == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 6]
    assert [part.gap.reason for part in peer.heard if part.gap] == [UNKNOWN]
    peer.outbox.close()
    peer.told.close()


def test_news_is_told_once(line: Line, outbox: Outbox) -> None:
    assert outbox.news()
    assert not outbox.news()
    line.see()
    line.records.flush(10)
    assert outbox.news()
    assert not outbox.news()
    assert outbox.waiting(outbox.begin()) == 0
    line.finish()
    assert outbox.waiting(outbox.begin()) == 1


def test_records_that_are_not_there_or_not_ours_are_told(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / FILE, 0)
    with pytest.raises(RecordsError, match="cannot read the records: No such file"):
        outbox.news()
    (tmp_path / FILE).write_bytes(b"rubbish" * 1000)
    with pytest.raises(RecordsError, match="not a database"):
        outbox.after(outbox.begin(), 1)
    line = Line(tmp_path / "records")
    line.records.close()
    os.rename(tmp_path / "records" / FILE, tmp_path / FILE)
    assert outbox.after(outbox.begin(), 1) == []
    outbox.close()


@pytest.mark.parametrize(
    ("damage", "said"), [("DROP TABLE parts", "no such table: parts"), ("DELETE FROM numbering", "whose they are")]
)
def test_why_records_cannot_be_read_is_told_as_it_is(line: Line, outbox: Outbox, damage: str, said: str) -> None:
    begin = outbox.begin()
    with closing(sqlite3.connect(line.folder / FILE)) as other:
        other.execute(damage)
        other.commit()
    for _ in range(2):
        with pytest.raises(RecordsError, match=said):
            outbox.after(begin, 1)


def test_what_was_told_is_kept_at_once_and_synced_after_a_quarter_of_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, file = ManualClock(), tmp_path / "plant" / "mqtt.sqlite"
    synced: list[int] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(handle), fsync(handle)))
    told = ToldPlace(file, Place("a1", -1, None), clock)
    assert told.place == ("a1", -1, None)
    assert len(synced) == 1
    told.move(Place("a1", 3, 77))
    assert not told.due
    killed = ToldPlace(file, Place("a1", -1, None), clock)  # the other one was never closed
    assert killed.place == ("a1", 3, 77)
    killed.close()
    del synced[:]
    clock.advance_ms(SYNC_NS / 1e6)
    assert told.due
    told.sync()
    told.sync()
    assert len(synced) == 1
    assert not told.due
    told.close()
    told.close()
    again = ToldPlace(file, Place("b2", 8, None), clock)
    assert again.place == ("a1", 3, 77)
    again.close()


def test_a_file_that_says_something_else_is_told(tmp_path: Path) -> None:
    file = tmp_path / "mqtt.sqlite"
    content = b"rubbish" * 200
    file.write_bytes(content)
    with pytest.raises(RecordsError, match="expected how far the plant was told"):
        ToldPlace(file, Place("a1", -1, None), ManualClock())
    assert file.read_bytes() == content
    file.unlink()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE other (a)")
    with pytest.raises(RecordsError, match="expected how far the plant was told"):
        ToldPlace(file, Place("a1", -1, None), ManualClock())


def test_a_place_that_cannot_be_kept_is_an_output_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = ToldPlace(tmp_path / "mqtt.sqlite", Place("a1", -1, None), ManualClock())
    with closing(sqlite3.connect(tmp_path / "mqtt.sqlite", isolation_level=None)) as other:
        told._connection.execute("PRAGMA busy_timeout = 0")
        other.execute("BEGIN IMMEDIATE")
        told.move(Place("a1", 1, 1))
        assert told.place == ("a1", 1, 1)
        with pytest.raises(OutputError, match="database is locked"):
            told.sync()
    told.move(Place("a1", 2, 2))
    told.sync()

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    told.move(Place("a1", 3, 3))
    with pytest.raises(OutputError, match="No space left"):
        told.sync()
    told.close()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be used"):
        ToldPlace(tmp_path / "file" / "mqtt.sqlite", Place("a1", -1, None), ManualClock())


def test_a_disk_that_fails_at_the_start_is_told_and_keeps_no_file_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    open_before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(OutputError, match="No space left"):
            ToldPlace(tmp_path / "mqtt.sqlite", Place("a1", -1, None), ManualClock())
    assert len(os.listdir("/proc/self/fd")) == open_before
