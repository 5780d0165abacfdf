"""Any change, removal or exchange of a row is found, and what the program itself adds later does not hide it."""

from __future__ import annotations

import json
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
from hypothesis import given
from hypothesis import strategies as st

from edge.clock import ManualClock
from edge.errors import OutputError, RecordsError
from edge.records.audit_cli import main
from edge.records.audit_log import GAP, HEAD, AuditLog, AuditTrail
from edge.storage.event_chain import GENESIS, canonical, chained, first_break

Row = tuple[int, str, str]


def chain(length: int) -> list[Row]:
    rows: list[Row] = []
    previous = GENESIS
    for seq in range(1, length + 1):
        content = canonical({"seq": seq, "wall_ns": 7 * seq, "kind": "state", "details": {"to": "READY" if seq % 2 else "RUNNING"}})
        previous = chained(previous, content)
        rows.append((seq, content, previous))
    return rows


def trail_of(folder: Path, rows: int = 6) -> AuditTrail:
    trail = AuditTrail(folder)
    for number in range(rows):
        trail.append(1000 + number, "state", {"to": f"state {number}"})
    return trail


def edit(trail: AuditTrail, *statements: str) -> None:
    with closing(sqlite3.connect(trail.path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_what_was_appended_is_read_back_and_whole(tmp_path: Path) -> None:
    trail = trail_of(tmp_path / "audit", 3)
    assert [(one.seq, one.wall_ns, one.kind, one.details) for one in trail.events()] == [
        (number + 1, 1000 + number, "state", {"to": f"state {number}"}) for number in range(3)
    ]
    audit = trail.verify()
    assert (audit.rows, audit.breaks) == (3, [])
    assert json.loads((tmp_path / "audit" / HEAD).read_text()) == {"seq": 3, "hash": audit.head}
    noted = audit.head
    trail.append(1, "stop", {})
    assert trail.verify(noted).breaks == []
    assert "none before it has the hash that was noted" in trail.verify("f" * 64).breaks[0].what


@given(st.data(), st.integers(1, 8))
def test_any_change_of_a_text_is_found_in_its_row(data: st.DataObject, length: int) -> None:
    rows = chain(length)
    assert first_break(rows) is None
    place = data.draw(st.integers(0, length - 1))
    column = data.draw(st.sampled_from([1, 2]))
    text = rows[place][column]
    assert isinstance(text, str)
    at = data.draw(st.integers(0, len(text)))
    new = text[:at] + data.draw(st.text(max_size=3)) + text[data.draw(st.integers(at, len(text))) :]
    changed = [list(row) for row in rows]
    changed[place][column] = new
    found = first_break([(a, b, c) for a, b, c in changed])
    assert (found is None) == (new == text)
    assert found is None or found.seq == place + 1


@given(st.data(), st.integers(2, 8))
def test_any_removal_or_new_order_is_found_also_where_the_rows_are_numbered_anew(data: st.DataObject, length: int) -> None:
    rows = chain(length)
    order = data.draw(st.lists(st.integers(0, length - 1), unique=True, max_size=length))
    anew = data.draw(st.booleans())
    changed = [((place + 1) if anew else rows[which][0], rows[which][1], rows[which][2]) for place, which in enumerate(order)]
    if not anew:
        changed.sort()  # as the database gives them
        order.sort()
    found = first_break(changed)
    kept = next((i for i, which in enumerate(order) if i != which), len(order))
    # What is left whole is a beginning of the chain: only its end can be missing unseen by the rows themselves.
    assert (found is None) == (kept == len(order))
    assert found is None or found.seq == kept + 1


CHANGES: dict[str, tuple[Callable[[AuditTrail], None], int]] = {
    "a row changed": (lambda t: edit(t, "UPDATE events SET content = replace(content, 'state 2', 'state X') WHERE seq = 3"), 3),
    "a row removed": (lambda t: edit(t, "DELETE FROM events WHERE seq = 3"), 3),
    "the first removed": (lambda t: edit(t, "DELETE FROM events WHERE seq = 1"), 1),
    "the end removed": (lambda t: edit(t, "DELETE FROM events WHERE seq > 4"), 5),
    "all removed": (lambda t: edit(t, "DELETE FROM events"), 1),
    "the database removed": (lambda t: t.path.unlink(), 1),
    "renumbered": (lambda t: edit(t, "DELETE FROM events WHERE seq = 2", "UPDATE events SET seq = seq - 1 WHERE seq > 2"), 2),
    "the head removed": (lambda t: t.head_path.unlink(), 1),
    "the head changed": (lambda t: t.head_path.write_text('{"seq": 6, "hash": "' + "a" * 64 + '"}'), 6),
    "the head is rubbish": (lambda t: t.head_path.write_bytes(b"\xff\x00"), 1),
    "a number that is text": (lambda t: edit(t, "UPDATE events SET content = CAST(content AS BLOB) WHERE seq = 4"), 4),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_to_the_files_is_found_and_going_on_does_not_hide_it(tmp_path: Path, change: str) -> None:
    trail = trail_of(tmp_path)
    act, row = CHANGES[change]
    act(trail)
    assert trail.verify().breaks[0].seq == row
    inner = change in ("a row changed", "a row removed", "the first removed", "a number that is text")
    trail.append(1, "start", {})
    breaks = trail.verify().breaks
    assert breaks
    if not inner:  # the last row or the head were touched: the chain itself now tells of it
        assert [one.kind for one in trail.events()][-2:] == [GAP, "start"]
    else:
        assert breaks[0].seq == row


def test_a_trail_written_anew_as_a_whole_is_found_only_by_a_noted_hash(tmp_path: Path) -> None:
    """What cannot be detected, said in the documents: who can write both files can write another trail."""
    noted = trail_of(tmp_path / "one").verify().head
    forged = trail_of(tmp_path / "two", 5)
    assert forged.verify().breaks == []
    assert forged.verify(noted).breaks


def test_a_power_cut_between_row_and_head_is_no_break(tmp_path: Path) -> None:
    trail = trail_of(tmp_path, 3)
    head = trail.head_path.read_bytes()
    trail.append(1, "stop", {})
    trail.head_path.write_bytes(head)
    assert trail.verify().breaks == []
    trail.append(2, "start", {})
    assert trail.verify().breaks == []


def test_a_damaged_database_is_set_aside_and_the_new_chain_tells(tmp_path: Path) -> None:
    trail = trail_of(tmp_path)
    trail.path.write_bytes(b"not a database, but long enough to be one" * 100)
    with pytest.raises(RecordsError, match="cannot read the audit trail"):
        trail.verify()
    trail.append(0, "start", {})
    assert (tmp_path / "audit.damaged-19700101-000000.sqlite").exists()
    assert [one.kind for one in trail.events()] == [GAP, "start"]
    assert trail.verify().breaks[0].seq == 1


def test_another_version_or_program_and_no_trail_are_told(tmp_path: Path) -> None:
    trail = trail_of(tmp_path / "a", 1)
    edit(trail, "PRAGMA user_version = 2")
    for act in (trail.verify, lambda: trail.append(1, "start", {})):
        with pytest.raises(RecordsError, match="newer than this program's"):
            act()
    other = AuditTrail(tmp_path / "b")
    other.path.parent.mkdir()
    edit(other, "CREATE TABLE events (x)")
    with pytest.raises(RecordsError, match="another program's"):
        other.append(1, "start", {})
    with pytest.raises(RecordsError, match="there is none"):
        AuditTrail(tmp_path / "c").verify()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write the audit trail"):
        AuditTrail(tmp_path / "file" / "x").append(1, "start", {})


def test_several_processes_append_to_one_chain(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from edge.records.audit_log import AuditTrail\n"
        "for n in range(25): AuditTrail(Path(sys.argv[1])).append(n, 'state', {'by': sys.argv[2]})"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name]) for name in ("a", "b")]
    assert [process.wait(60) for process in processes] == [0, 0]
    audit = AuditTrail(tmp_path).verify()
    assert (audit.rows, audit.breaks) == (50, [])
    assert {one.details["by"] for one in AuditTrail(tmp_path).events()} == {"a", "b"}


def test_the_row_is_on_the_disk_before_the_head_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trail = trail_of(tmp_path, 1)
    seen: list[int] = []
    rename = Path.rename

    def traced(path: Path, target: Path) -> Any:
        if Path(target).name == HEAD:
            seen.append(sum(1 for _ in trail.events()))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", traced)
    trail.append(1, "stop", {})
    assert seen == [2]


def test_a_head_that_cannot_be_written_leaves_no_row_twice_and_follows_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = trail_of(tmp_path, 2)
    with monkeypatch.context() as fault:
        fault.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        trail.append(1, "stop", {})
    assert json.loads(trail.head_path.read_text())["seq"] == 2
    trail.append(2, "start", {})
    assert json.loads(trail.head_path.read_text())["seq"] == 4
    assert [one.kind for one in trail.events()] == ["state", "state", "stop", "start"]
    assert trail.verify().breaks == []


def test_the_log_never_waits_and_a_full_disk_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    failing = threading.Event()
    failing.set()
    connect = AuditTrail._connect

    def full(trail: AuditTrail) -> sqlite3.Connection:
        if failing.is_set():
            raise sqlite3.OperationalError("database or disk is full")
        return connect(trail)

    monkeypatch.setattr(AuditTrail, "_connect", full)
    monkeypatch.setattr("edge.records.audit_log.RETRY_S", 0.01)
    log = AuditLog(AuditTrail(tmp_path), ManualClock(), told.append)
    log.add("start", version="0.1.0", configuration="sha256")
    while not told:
        assert not log.flush(0.01)
    log.add("state", to="READY")
    failing.clear()
    assert log.flush(10)
    log.close()
    log.close()
    assert [one.kind for one in AuditTrail(tmp_path).events()] == ["start", "state"]
    assert log.dropped == 0
    assert len(told) == 2


def test_the_command_verifies_and_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trail = trail_of(tmp_path / "audit", 3)
    trail.append(0, "operator", {"name": "Ann\x1b[31m", "did": "activate 4"})
    assert main(["verify", "--state", str(tmp_path)]) == 0
    head = capsys.readouterr().out.strip()
    assert head == trail.verify().head
    assert main(["verify", "--state", str(tmp_path), "--noted", head]) == 0
    assert main(["list", "--audit", str(tmp_path / "audit"), "--last", "1"]) == 0
    shown = capsys.readouterr().out
    assert "did activate 4" in shown
    assert "\x1b[31m" not in shown
    assert "state 2" not in shown
    edit(trail, "UPDATE events SET content = '{}' WHERE seq = 2")
    assert main(["verify", "--state", str(tmp_path)]) == 1
    assert "row 2 was changed" in capsys.readouterr().err
    assert main(["verify", "--state", str(tmp_path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["breaks"][0]["row"] == 2
    assert main(["verify", "--state", str(tmp_path / "none")]) == 2
    assert main(["list", "--state", str(tmp_path)]) == 2
    assert "run: edge-inspect audit verify" in capsys.readouterr().err
