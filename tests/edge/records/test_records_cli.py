from __future__ import annotations

import csv
import json
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge.clock import ManualClock
from edge.line.part_tracker import Action, Part
from edge.records.part_records import FILE, FOLDER, PartRecords
from edge.records.record_query import RecordQuery
from edge.records.records_cli import main
from edge.records.records_config import RecordsConfig
from edge.verdict import Outcome, Scores, Verdict

NOON = 1_700_000_000_000_000_000
SPAN = ["--since", "2023-11-14T00:00Z", "--until", "2023-11-15T00:00Z"]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Ten parts a minute apart: PASS, REJECT, two late FAULTs of different figures, one in flight, and one of the next day."""
    clock = ManualClock(wall_ns=NOON)
    records = PartRecords(tmp_path / FOLDER, RecordsConfig(), clock, print)

    def one(part_id: int, outcome: Outcome, reason: str, action: Action, image: str = "") -> None:
        records.accepted(Part(part_id, 1, 2, None, None, None))
        scores = Scores(1.0, 0.5, 1.0 + part_id, 0.1, 0.5, 0.0, 1.0)
        records.decided(Verdict(part_id, outcome, reason, "c", 1, 2, 3, clock.wall_ns(), scores, 5.0, 3), "fp32")
        records.finished(part_id, outcome, reason, action, 0)
        records.archived(part_id, image)
        clock.advance_ms(60_000)

    for part_id in range(6):
        one(part_id, Outcome.PASS, "", Action.PASSED)
    one(6, Outcome.REJECT, "=score 7 is at or above\x1b[31m 5", Action.REJECTED, "2023-11-14/ng/6.png")
    one(7, Outcome.FAULT, "no verdict within 80 ms of the trigger, 81 ms passed", Action.LATE)
    one(8, Outcome.FAULT, "no verdict within 80 ms of the trigger, 95.5 ms passed", Action.REJECTED)
    records.accepted(Part(9, 1, 2, None, None, None))
    clock.advance_ms(86_400_000)
    one(10, Outcome.PASS, "", Action.PASSED)
    assert records.flush(5)
    records.confirmed(6, "confirmed")
    assert records.flush(5)
    records._writer.close()  # the part in flight stays as it is, as while the line runs
    records._given_back.close()
    return tmp_path


def test_a_shift_is_summed_up(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--state", str(state), *SPAN, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["outcomes"] == {"PASS": 6, "REJECT": 1, "FAULT": 2, "in flight": 1}
    assert found["actions"] == {"passed": 6, "rejected": 2, "late": 1, "in flight": 1}
    assert found["reasons"] == {"no verdict within … ms of the trigger, … ms passed": 2}
    assert (found["parts"], found["first_part_id"], found["last_part_id"]) == (10, 0, 9)
    assert (found["confirms"], found["serials"], found["archived"]) == ({"confirmed": 1}, [3], 1)
    assert main(["--state", str(state), *SPAN]) == 0
    shown = capsys.readouterr()
    assert "verdict FAULT" in shown.out
    assert "20.0%" in shown.out
    assert "1 parts that were not good may have gone on" in shown.err


def test_a_shift_without_parts_says_when_the_newest_was(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--state", str(state)]) == 0
    assert "no parts from" in (err := capsys.readouterr().err)
    assert "the newest is of 2023-11-15T22:22:20Z" in err


def test_parts_are_listed_and_chosen_and_the_terminal_is_safe(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--state", str(state), *SPAN, "--list", "--last", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [found[1] for line in lines if (found := re.match(r" (\d) ", line))] == ["7", "8", "9"]
    assert main(["--state", str(state), *SPAN, "--list", "--json", "--outcome", "FAULT", "--action", "late"]) == 0
    (late,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (late["part_id"], late["time"], late["late_ns"]) == (7, "2023-11-14T22:20:20Z", 0)
    assert main(["--state", str(state), *SPAN, "--list", "--outcome", "REJECT"]) == 0
    assert "\x1b[31m" not in capsys.readouterr().out


def test_csv_has_every_part_and_no_formula(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "shift.csv"
    assert main(["--records", str(state / FOLDER), *SPAN, "--csv", str(file)]) == 0
    assert "10 parts are in" in capsys.readouterr().err
    with file.open(newline="", encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    assert [int(row["part_id"]) for row in rows] == list(range(10))
    assert rows[6]["reason"].startswith("'=score")
    assert float(rows[6]["score"]) == 7.0
    assert rows[9]["outcome"] == ""


def test_reading_changes_nothing_and_goes_on_while_parts_are_written(tmp_path: Path) -> None:
    records = PartRecords(tmp_path, RecordsConfig(), ManualClock(wall_ns=NOON), print)
    query = RecordQuery(tmp_path / FILE)
    seen = []
    for part_id in range(50):
        records.accepted(Part(part_id, 1, 2, None, None, None))
        assert records.flush(5)
        seen.append(query.shift(0, 2 * NOON).parts)
    assert seen == list(range(1, 51))
    records.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--state", "/nowhere"], "expected part records, there are none"),
        (["--since", "yesterday"], "expected a time such as"),
        (["--hours", "0"], "expected hours above 0"),
        (["--outcome", "GOOD"], "expected one of PASS, REJECT, FAULT, got 'GOOD'"),
        (["--action", "lost"], "expected one of passed, rejected, late, unknown, got 'lost'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(arguments)
    except SystemExit as end:
        code = int(str(end.code))
    assert code == 2
    assert message in capsys.readouterr().err


def test_what_cannot_be_read_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / FOLDER).mkdir()
    path = tmp_path / FOLDER / FILE
    path.write_bytes(b"no database at all, and long enough to be taken for one" * 50)
    assert main(["--state", str(tmp_path)]) == 2
    assert "the next edge-inspect sets them aside" in capsys.readouterr().err
    os.unlink(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (x)")
    assert main(["--state", str(tmp_path)]) == 2
    assert "another program's database" in capsys.readouterr().err
