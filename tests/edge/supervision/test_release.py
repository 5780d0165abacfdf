"""A stopped line is released by somebody whose name is kept first."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from edge.errors import EXIT_FAILED, EXIT_INPUT, EXIT_OK, OutputError
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


def test_another_folder_than_the_line_s_is_told_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "line1").mkdir()
    (tmp_path / "line1" / FILE).write_text("part 3 may have gone on\n")
    assert release(tmp_path) == EXIT_FAILED
    assert "give the --state that the fault names" in capsys.readouterr().err


NOBODY = 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_what_root_writes_there_the_line_s_own_user_can_write_on(tmp_path: Path) -> None:
    state = reachable(tmp_path) / "line1"
    state.mkdir(mode=0o750)
    (state / FILE).write_text("part 3 may have gone on\n")
    os.chown(state, NOBODY, NOBODY)
    result = subprocess.run(
        [sys.executable, "-m", "edge.cli", "release", "--state", str(state)],
        env={**os.environ, "SUDO_USER": "kim"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == EXIT_OK, result.stderr
    assert {one.stat().st_uid for one in (state / FOLDER).iterdir()} == {NOBODY}
    assert AuditTrail(state / FOLDER).newest(1)[0].details["operator"] == "kim"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_who_may_not_look_is_told_as_whom_to_say_it(tmp_path: Path) -> None:
    state = reachable(tmp_path) / "line1"
    state.mkdir(mode=0o750)
    (state / FILE).write_text("part 3 may have gone on\n")
    result = as_nobody(state)
    assert result.returncode != EXIT_OK
    assert "say it as root: sudo -u root" in result.stderr
    assert (state / FILE).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_who_may_not_even_come_near_is_told_to_use_sudo(tmp_path: Path) -> None:
    folder = reachable(tmp_path) / "lines"
    folder.mkdir(mode=0o700)
    (folder / "line1").mkdir()
    result = as_nobody(folder / "line1")
    assert result.returncode == EXIT_INPUT
    assert "Permission denied; say it with sudo" in result.stderr


def as_nobody(state: Path) -> subprocess.CompletedProcess[str]:
    command = (
        "import os; from edge.supervision.release_cli import main\n"
        f"os.setuid({NOBODY}); raise SystemExit(main(['--state', {str(state)!r}]))"
    )
    return subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False)


def reachable(folder: Path) -> Path:
    """pytest's folders are their user's alone."""
    top = Path(tempfile.gettempdir())
    for one in (folder, *folder.parents):
        if one == top or top not in one.parents:
            break
        one.chmod(0o755)
    return folder
