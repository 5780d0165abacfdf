"""Who may use the page: names, roles and password hashes in ``<state>/page/accounts.sqlite``, mode 0600."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from edge.clock import Clock
from edge.errors import ConfigError, OutputError
from edge.page.roles import Role

if TYPE_CHECKING:
    from argon2 import PasswordHasher

FOLDER = "page"
FILE = "accounts.sqlite"
APPLICATION_ID = 0x65697061
VERSION = 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
SHORTEST, LONGEST = 10, 128
"""Characters of a password; longer ones would only cost time to hash."""
WAIT_S = 5.0
SCHEMA = f"""
    BEGIN IMMEDIATE;
    CREATE TABLE accounts (name TEXT PRIMARY KEY, role INTEGER NOT NULL, password TEXT NOT NULL, created TEXT NOT NULL);
    CREATE TABLE sessions (
        token TEXT PRIMARY KEY, name TEXT NOT NULL REFERENCES accounts (name) ON DELETE CASCADE, form_token TEXT NOT NULL,
        created_ns INTEGER NOT NULL, seen_ns INTEGER NOT NULL
    );
    CREATE TABLE failures (name TEXT PRIMARY KEY, count INTEGER NOT NULL, last_ns INTEGER NOT NULL);
    PRAGMA application_id = {APPLICATION_ID};
    PRAGMA user_version = {VERSION};
    COMMIT;
"""


@dataclass(frozen=True, slots=True)
class Account:
    """One person. created: UTC."""

    name: str
    role: Role
    created: str


class AccountFile:
    """The database; a connection for each use, so that any thread and ``edge-page user`` may use it meanwhile."""

    def __init__(self, state: Path) -> None:
        self.path = state / FOLDER / FILE

    @contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """Changes are kept together, or none of them; raises OutputError."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            with closing(sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None)) as connection:
                self._prepare(connection)
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
        except (sqlite3.Error, OSError) as error:
            raise OutputError(f"{self.path}: cannot use the page's accounts: {error}; free space or check who owns it") from error

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        application: int = connection.execute("PRAGMA application_id").fetchone()[0]
        if version == VERSION and application == APPLICATION_ID:
            return
        if version or connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            raise OutputError(f"{self.path}: expected this version's accounts of the page, this is another file; move it away")
        try:
            connection.executescript(SCHEMA)
        except sqlite3.OperationalError:  # another process was first
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
                raise


class Accounts:
    """What ``edge-page user`` changes. Names are told apart as they are written. Raises OutputError; ConfigError for bad input."""

    def __init__(self, file: AccountFile, clock: Clock) -> None:
        self._file, self._clock = file, clock

    def all(self) -> list[Account]:
        """By name."""
        with self._file.connected() as connection:
            rows = connection.execute("SELECT name, role, created FROM accounts ORDER BY name").fetchall()
        return [Account(name, Role(role), created) for name, role, created in rows]

    def add(self, name: str, role: Role, password: str) -> None:
        """A new one; ConfigError where the name is taken."""
        if not NAME.fullmatch(name):
            raise ConfigError(f"expected a name of letters, digits, dots, dashes and underscores, 32 at most, got {name!r}")
        hashed = _hashed(name, password)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock.wall_ns() / 1e9))
        with self._file.connected() as connection:
            if connection.execute("SELECT 1 FROM accounts WHERE name = ?", (name,)).fetchone():
                raise ConfigError(f"there is an account {name} already; change its password, or remove it first")
            connection.execute("INSERT INTO accounts VALUES (?, ?, ?, ?)", (name, int(role), hashed, now))

    def set_password(self, name: str, password: str) -> None:
        """Another one; whoever is logged in by the old one is no longer, and a lock-out is over."""
        hashed = _hashed(name, password)
        with self._file.connected() as connection:
            self._require(connection.execute("UPDATE accounts SET password = ? WHERE name = ?", (hashed, name)).rowcount, name)
            connection.execute("DELETE FROM sessions WHERE name = ?", (name,))
            connection.execute("DELETE FROM failures WHERE name = ?", (name,))

    def set_role(self, name: str, role: Role) -> None:
        """Another one, from the next request on."""
        with self._file.connected() as connection:
            self._require(connection.execute("UPDATE accounts SET role = ? WHERE name = ?", (int(role), name)).rowcount, name)

    def remove(self, name: str) -> None:
        """With all its sessions."""
        with self._file.connected() as connection:
            self._require(connection.execute("DELETE FROM accounts WHERE name = ?", (name,)).rowcount, name)

    def verified(self, name: str, password: str) -> bool:
        """Whether ``password`` is that of ``name``; takes as long where there is no such name."""
        from argon2.exceptions import Argon2Error, InvalidHashError

        with self._file.connected() as connection:
            row = connection.execute("SELECT password FROM accounts WHERE name = ?", (name,)).fetchone()
        try:
            return _hasher().verify(_nobody() if row is None else row[0], password[: LONGEST + 1]) and row is not None
        except (Argon2Error, InvalidHashError):
            return False

    def _require(self, changed: int, name: str) -> None:
        if not changed:
            there = ", ".join(one.name for one in self._names_of_all())
            raise ConfigError(f"there is no account {name!r}; there are: {there or 'none'}")

    def _names_of_all(self) -> list[Account]:
        # In the transaction that is about to be rolled back another connection still reads.
        with closing(sqlite3.connect(f"file:{self._file.path}?mode=ro", uri=True, timeout=WAIT_S)) as connection:
            rows = connection.execute("SELECT name, role, created FROM accounts ORDER BY name").fetchall()
        return [Account(name, Role(role), created) for name, role, created in rows]


def _hashed(name: str, password: str) -> str:
    if not SHORTEST <= len(password) <= LONGEST:
        raise ConfigError(f"expected a password of {SHORTEST} to {LONGEST} characters, got {len(password)}; choose another one")
    if name.lower() in password.lower():
        raise ConfigError("expected a password without the name in it; choose another one")
    return _hasher().hash(password)


@cache
def _hasher() -> PasswordHasher:
    """Argon2id with RFC 9106's second choice: 64 MiB, three passes."""
    from argon2 import PasswordHasher
    from argon2.profiles import RFC_9106_LOW_MEMORY

    return PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


@cache
def _nobody() -> str:
    return _hasher().hash(os.urandom(16).hex())
