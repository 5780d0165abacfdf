"""What was done to the inspection, by whom and when: a chain of hashes in SQLite, with the last hash in a file of its own."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from edge.clock import Clock
from edge.errors import OutputError, RecordsError
from edge.storage.background_writer import BackgroundWriter
from edge.storage.damaged_database import set_aside
from edge.storage.durable_files import write_file
from edge.storage.event_chain import GENESIS, Break, canonical, chained, first_break
from edge.storage.strict_yaml import StrictModel, parse

FOLDER = "audit"
FILE = "audit.sqlite"
HEAD = "audit.head"
LOCK = ".append"
APPLICATION_ID = 0x65696175
VERSION = 1
CAPACITY = 4096
RETRY_S = 1.0
WAIT_S = 5.0
"""Another process holds the right to append for some milliseconds."""
GAP = "rows_missing"
"""An event of our own: the chain ended before the row that the head names."""


class Head(StrictModel):
    """The last row that was written, kept in a file of its own."""

    seq: int = Field(ge=1)
    hash: str = Field(pattern=r"^[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True)
class Event:
    """One row. details: JSON values."""

    seq: int
    wall_ns: int
    kind: str
    details: dict[str, Any]
    hash: str


@dataclass(frozen=True, slots=True)
class Audit:
    """What a check found. breaks: empty where nothing was changed or removed, as far as that can be known."""

    rows: int
    head: str
    breaks: list[Break]


class AuditTrail:
    """The rows in ``folder``; several processes may append.

    Raises OutputError where it cannot be written, RecordsError where it is of another version or another program's.
    """

    def __init__(self, folder: Path) -> None:
        self.path, self.head_path = folder / FILE, folder / HEAD

    def append(self, wall_ns: int, kind: str, details: dict[str, Any]) -> Event:
        """Add a row durably, then the head. Takes as long as the disk does."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._appending():
                try:
                    return self._append(wall_ns, kind, details)
                except sqlite3.OperationalError:  # full or locked, and whole for all that is known
                    raise
                except sqlite3.DatabaseError:
                    set_aside(self.path, wall_ns)
                    return self._append(wall_ns, kind, details)
        except (sqlite3.Error, OSError) as error:
            raise OutputError(f"{self.path}: cannot write the audit trail: {error}; free space or check the disk") from error

    def _append(self, wall_ns: int, kind: str, details: dict[str, Any]) -> Event:
        with closing(self._connect()) as connection:
            row = connection.execute("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1").fetchone()
            last: tuple[int, str] = (0, GENESIS) if row is None else row
            if lost := self._lost(connection, last[0]):
                # Kept in the chain, since the head is about to move on.
                last = _insert(connection, last, wall_ns, GAP, lost)
            seq, digest = _insert(connection, last, wall_ns, kind, details)
        with suppress(OutputError):  # the row is there; the head follows with the next one
            write_file(self.head_path, canonical({"seq": seq, "hash": digest}).encode() + b"\n")
        return Event(seq, wall_ns, kind, details, digest)

    def _lost(self, connection: sqlite3.Connection, last: int) -> dict[str, Any]:
        """What the head knows and the rows do not; empty where they agree."""
        try:
            head = self._head()
        except RecordsError as error:
            return {"last": last, "head": str(error)}
        if head is None:  # the first row is written before the first head
            return {"last": last, "head": "missing"} if last > 1 else {}
        row = connection.execute("SELECT hash FROM events WHERE seq = ?", (head.seq,)).fetchone()
        return {} if row is not None and row[0] == head.hash else {"last": last, "head": head.model_dump()}

    def events(self) -> Iterator[Event]:
        """Every row, oldest first, unchecked; raises RecordsError."""
        for row in self._rows():
            yield self._event(*row)

    def newest(self, count: int) -> list[Event]:
        """The last rows, the newest first, unchecked; raises RecordsError."""
        return [self._event(*row) for row in self._rows(f"DESC LIMIT {count:d}")]

    def _event(self, seq: Any, content: Any, digest: Any) -> Event:
        try:
            found = json.loads(content)
            return Event(seq, found["wall_ns"], found["kind"], found["details"], digest)
        except (TypeError, ValueError, KeyError) as error:
            raise RecordsError(f"{self.path}: row {seq} is no event; run: edge-inspect audit verify") from error

    def verify(self, noted: str | None = None) -> Audit:
        """Check the chain, and the end of it against the head and against a hash that somebody noted; raises RecordsError."""
        breaks: list[Break] = []
        count, last, noted_at = 0, GENESIS, None
        digests: dict[int, str] = {}
        head = None
        try:
            head = self._head()  # before the rows, which another process may add to
            if head is None and self.path.exists():
                breaks.append(
                    Break(1, f"cannot be told to be the first of all: {self.head_path.name}, which names the last, is missing")
                )
        except RecordsError as error:
            breaks.append(Break(1, f"cannot be told to be the first of all: {error}"))

        def seen() -> Iterator[tuple[object, object, object]]:
            nonlocal count, last, noted_at
            for seq, content, digest in self._rows() if self.path.exists() or head is None else ():
                count, last = seq, digest
                noted_at = seq if digest == noted else noted_at
                if head is not None and seq == head.seq:
                    digests[seq] = digest
                if isinstance(content, str) and (lost := _gap(content)):
                    breaks.append(Break(seq, f"tells that rows before it were removed or exchanged: {canonical(lost)}"))
                yield seq, content, digest

        found = first_break(seen())
        if found is not None:
            breaks.append(found)
        if head is not None and head.seq > count and (found is None or found.seq > count):
            breaks.append(Break(count + 1, f"is missing: the trail ends before row {head.seq}, the last that was written"))
        elif head is not None and digests.get(head.seq, head.hash) != head.hash and found is None:
            breaks.append(Break(head.seq, f"is not the one that {self.head_path.name} names"))
        if noted is not None and noted_at is None:
            breaks.append(Break(count, f"and none before it has the hash that was noted, {noted}"))
        return Audit(count, last, sorted(breaks, key=lambda one: one.seq))

    def _rows(self, order: str = "") -> Iterator[tuple[Any, Any, Any]]:
        if not self.path.is_file():
            raise RecordsError(f"{self.path}: expected an audit trail, there is none; correct --state")
        try:
            with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=WAIT_S)) as connection:
                _require_ours(connection, self.path)
                yield from connection.execute(f"SELECT seq, content, hash FROM events ORDER BY seq {order}")
        except sqlite3.Error as error:
            raise RecordsError(f"{self.path}: cannot read the audit trail: {error}; take it from a backup") from error

    def _head(self) -> Head | None:
        try:
            text = self.head_path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            content = json.loads(text)
            return parse(Head, content if isinstance(content, dict) else {}, str(self.head_path))
        except Exception as error:  # whatever somebody has written there
            raise RecordsError(f"{self.head_path.name}, which names the last row, was changed") from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            if _require_ours(connection, self.path) == 0:
                connection.executescript(
                    "BEGIN; CREATE TABLE events (seq INTEGER PRIMARY KEY, content TEXT NOT NULL, hash TEXT NOT NULL); "
                    f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; COMMIT;"
                )
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _appending(self) -> Iterator[None]:
        handle = os.open(self.path.with_name(LOCK), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            until = time.monotonic() + WAIT_S
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.005)
            yield
        finally:
            os.close(handle)


class AuditLog:
    """Events of a running inspection: ``add`` returns at once, a thread appends them in order.

    What the disk does not take is tried again each second; ``tell`` gets one line of it and must not wait.
    """

    def __init__(self, trail: AuditTrail, clock: Clock, tell: Callable[[str], None]) -> None:
        self._trail, self._clock = trail, clock
        self._writer = BackgroundWriter[tuple[int, str, dict[str, Any]]](
            "audit trail", self._write, tell, CAPACITY, retry_s=RETRY_S, most=1
        )

    @property
    def dropped(self) -> int:
        """Events that were not written."""
        return self._writer.dropped

    def add(self, kind: str, **details: Any) -> None:
        """Queue an event; details: JSON values."""
        self._writer.add((self._clock.wall_ns(), kind, details))

    def flush(self, timeout_s: float) -> bool:
        """Wait until what was added before is on the disk."""
        return self._writer.flush(timeout_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what is queued, as far as ``timeout_s`` allows. May be called twice."""
        self._writer.close(timeout_s)

    def _write(self, events: list[tuple[int, str, dict[str, Any]]]) -> None:
        for wall_ns, kind, details in events:
            self._trail.append(wall_ns, kind, details)


def _require_ours(connection: sqlite3.Connection, path: Path) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION_ID and (version or connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]):
        raise RecordsError(f"{path}: expected an audit trail, this is another program's database; move it away")
    if version > VERSION:
        raise RecordsError(
            f"{path}: an audit trail of version {version} is newer than this program's {VERSION}; update edge-inspect"
        )
    return version


def _insert(
    connection: sqlite3.Connection, last: tuple[int, str], wall_ns: int, kind: str, details: dict[str, Any]
) -> tuple[int, str]:
    seq = last[0] + 1
    content = canonical({"seq": seq, "wall_ns": wall_ns, "kind": kind, "details": details})
    digest = chained(last[1], content)
    connection.execute("INSERT INTO events VALUES (?, ?, ?)", (seq, content, digest))
    return seq, digest


def _gap(content: str) -> dict[str, Any] | None:
    with suppress(ValueError):
        found = json.loads(content)
        if isinstance(found, dict) and found.get("kind") == GAP:
            return dict(found["details"])
    return None
