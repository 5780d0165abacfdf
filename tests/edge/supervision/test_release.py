"""A stopped line is released by somebody whose name is kept first."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import EXIT_FAILED, EXIT_OK, OutputError
from edge.records.audit_log import FOLDER, AuditTrail
from edge.supervision.release_cli import main
from edge.supervision.stop_order import FILE, StopOrder


def release(state: Path) -> int:
    return main(["--state", str(state), "--operator", "kim"])


def test_it_is_told_and_written_down_who_released_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / FILE).write_text("part 3 may have gone on\n")
    assert release(tmp_path) == EXIT_OK
    assert "released: part 3 may have gone on" in capsys.readouterr().err
    assert StopOrder(tmp_path, lambda _: None).standing() == ""
    [event] = AuditTrail(tmp_path / FOLDER).newest(10)
    assert event.kind == "line released"
    assert event.details["operator"] == "kim"
    assert "part 3 may have gone on" in event.details["reason"]


def test_where_no_line_stands_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert release(tmp_path) == EXIT_FAILED
    assert "no stopped line is known in" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_line_whose_release_cannot_be_written_down_stands_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OutputError("audit.sqlite: cannot write there: No space left on device")

    (tmp_path / FILE).write_text("part 3 may have gone on\n")
    monkeypatch.setattr(AuditTrail, "append", full)
    assert release(tmp_path) != EXIT_OK
    assert StopOrder(tmp_path, lambda _: None).standing()
