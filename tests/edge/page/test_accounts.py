"""Accounts, sessions and how often one may try."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path

import pytest

from edge.clock import ManualClock
from edge.errors import ConfigError, OutputError
from edge.page.accounts import FILE, FOLDER, AccountFile, Accounts
from edge.page.login_limits import FIRST_LOCK_S, FREE_FAILURES, LONGEST_LOCK_S, PER_MINUTE, AddressLimit, NameLocks
from edge.page.page_cli import main
from edge.page.page_config import IdleConfig
from edge.page.roles import Role
from edge.page.sessions import MOST_PER_ACCOUNT, Sessions
from edge.records.audit_log import AuditTrail

PASSWORD = "never on a note"
MINUTE_MS = 60_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def file(tmp_path: Path) -> AccountFile:
    return AccountFile(tmp_path)


@pytest.fixture
def accounts(file: AccountFile, clock: ManualClock) -> Accounts:
    made = Accounts(file, clock)
    made.add("ann", Role.ENGINEER, PASSWORD)
    return made


def test_a_password_is_kept_as_a_hash_that_nobody_else_reads(accounts: Accounts, file: AccountFile) -> None:
    assert accounts.verified("ann", PASSWORD)
    assert not accounts.verified("ann", PASSWORD + " ")
    assert not accounts.verified("bob", PASSWORD)
    content = file.path.read_bytes()
    assert b"$argon2id$" in content
    assert PASSWORD.encode() not in content
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("name", "password"),
    [("bob", "short"), ("bob", "x" * 129), ("bob", "my name is Bob"), ("../bob", PASSWORD), ("", PASSWORD), ("ann", PASSWORD)],
)
def test_a_bad_name_or_password_is_refused(accounts: Accounts, name: str, password: str) -> None:
    with pytest.raises(ConfigError, match=r"expected|already"):
        accounts.add(name, Role.OPERATOR, password)


def test_another_programs_file_is_not_touched(tmp_path: Path) -> None:
    import sqlite3

    (tmp_path / FOLDER).mkdir()
    with sqlite3.connect(tmp_path / FOLDER / FILE) as connection:
        connection.execute("CREATE TABLE other (x)")
    with pytest.raises(OutputError, match="another file; move it away"):
        Accounts(AccountFile(tmp_path), ManualClock()).all()


def test_a_session_ends_when_idle_removed_or_logged_out(accounts: Accounts, file: AccountFile, clock: ManualClock) -> None:
    sessions = Sessions(file, IdleConfig(engineer=30), clock)
    one = sessions.begin("ann")
    assert one is not None
    clock.advance_ms(29 * MINUTE_MS)
    assert sessions.find(one.token) == one
    clock.advance_ms(29 * MINUTE_MS)
    assert sessions.find(one.token, used=False) == one  # a look is no sign of life
    clock.advance_ms(2 * MINUTE_MS)
    assert sessions.find(one.token) is None
    two = sessions.begin("ann")
    assert two is not None
    sessions.end(two.token)
    assert sessions.find(two.token) is None
    three = sessions.begin("ann")
    assert three is not None
    accounts.remove("ann")
    assert sessions.find(three.token) is None
    assert sessions.begin("ann") is None


def test_no_session_lasts_for_ever_and_an_account_has_so_many(accounts: Accounts, file: AccountFile, clock: ManualClock) -> None:
    sessions = Sessions(file, IdleConfig(engineer=1440), clock)
    first = sessions.begin("ann")
    assert first is not None
    for _ in range(8):
        clock.advance_ms(20 * 60 * MINUTE_MS)
        assert sessions.find(first.token) is not None
    clock.advance_ms(20 * 60 * MINUTE_MS)
    assert sessions.find(first.token) is None
    many = [sessions.begin("ann") for _ in range(MOST_PER_ACCOUNT + 3)]
    assert sum(sessions.find(one.token) is not None for one in many if one is not None) <= MOST_PER_ACCOUNT


def test_a_role_changes_with_the_next_request_and_a_password_logs_out(
    accounts: Accounts, file: AccountFile, clock: ManualClock
) -> None:
    sessions = Sessions(file, IdleConfig(), clock)
    one = sessions.begin("ann")
    assert one is not None
    accounts.set_role("ann", Role.OPERATOR)
    found = sessions.find(one.token)
    assert found is not None
    assert found.role is Role.OPERATOR
    accounts.set_password("ann", PASSWORD + "!")
    assert sessions.find(one.token) is None


def test_an_address_has_so_many_attempts_a_minute(clock: ManualClock) -> None:
    limit = AddressLimit(clock)
    assert [limit.allows("a") for _ in range(PER_MINUTE + 2)] == [True] * PER_MINUTE + [False, False]
    assert limit.allows("b")
    clock.advance_ms(60_000 / PER_MINUTE)
    assert limit.allows("a")
    assert not limit.allows("a")


def test_a_name_is_locked_for_longer_each_time_and_not_for_ever(file: AccountFile, clock: ManualClock) -> None:
    locks = NameLocks(file, clock)
    for _ in range(FREE_FAILURES):
        assert locks.locked_s("nobody") == 0
        locks.failed("nobody")
    assert locks.locked_s("nobody") == FIRST_LOCK_S
    clock.advance_ms(FIRST_LOCK_S * 1000)
    assert locks.locked_s("nobody") == 0
    for _ in range(30):
        locks.failed("nobody")
    assert locks.locked_s("nobody") == LONGEST_LOCK_S
    assert NameLocks(file, clock).locked_s("nobody") == LONGEST_LOCK_S  # after a restart too
    locks.succeeded("nobody")
    assert locks.locked_s("nobody") == 0


def test_the_command_reads_a_password_from_stdin_and_leaves_a_trail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD + "\n"))
    assert main(["user", "add", "tom", "--role", "technician", "--state", str(tmp_path)]) == 0
    assert main(["user", "role", "tom", "--role", "operator", "--state", str(tmp_path)]) == 0
    assert main(["user", "list", "--json", "--state", str(tmp_path)]) == 0
    assert [(one["name"], one["role"]) for one in json.loads(capsys.readouterr().out)] == [("tom", "operator")]
    assert main(["user", "remove", "tim", "--state", str(tmp_path)]) == 2
    assert "there is no account 'tim'; there are: tom" in capsys.readouterr().err
    assert main(["user", "remove", "tom", "--state", str(tmp_path)]) == 0
    kinds = [event.kind for event in AuditTrail(tmp_path / FOLDER / "audit").events()]
    assert kinds == ["account added", "role set", "account removed"]
