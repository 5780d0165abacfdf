"""How far one protocol has come in telling parts: kept at once for when this process dies, and soon for when the power fails."""

from __future__ import annotations

import os
import sqlite3
from contextlib import ExitStack
from pathlib import Path

from edge.clock import Clock
from edge.errors import OutputError, RecordsError
from edge.plant.part_result import Place

SYNC_NS = 250_000_000
"""After a power cut, what was told in this time is told again; a sync for each part would wear out a card, and hold up a PLC."""
WAIT_S = 2.0
APPLICATION_ID = 0x65697470


class ToldPlace:
    """In the database ``path``, which begins with ``begin`` where there is none. For one thread, but for ``sync``.

    Raises OutputError, and RecordsError where the file is another one.
    """

    def __init__(self, path: Path, begin: Place, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._failure: sqlite3.Error | None = None
        with ExitStack() as stack:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                # One thread at a time: the one that tells; the one that closes it.
                self._connection = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
                stack.callback(self._connection.close)
                self.place = self._begun(begin)
                self._wal = os.open(path.with_name(f"{path.name}-wal"), os.O_RDONLY)
                stack.callback(os.close, self._wal)
                os.fsync(self._wal)  # a run that ends before it told anything must not be passed over by the next
            except (sqlite3.OperationalError, OSError) as error:
                why = error.strerror if isinstance(error, OSError) else error
                raise OutputError(f"{path}: cannot be used: {why}; free space, or check the state folder") from error
            except (sqlite3.DatabaseError, TypeError) as error:
                raise RecordsError(
                    f"{path}: expected how far the plant was told, got something else; remove it and what lies beside it by that "
                    "name, and parts are told from the next run's first on"
                ) from error
            self._given_back = stack.pop_all()
        self._synced, self._synced_ns = self.place, clock.monotonic_ns()

    def move(self, place: Place) -> None:
        """All up to ``place`` was told. Where that cannot be written, ``sync`` says so: the next part is told all the same."""
        self.place = place
        try:
            self._connection.execute("UPDATE told SET records_id = ?, part_id = ?, wall_ns = ?", place)
            self._failure = None
        except sqlite3.Error as error:
            self._failure = error

    @property
    def due(self) -> bool:
        """Whether ``sync`` has something to do."""
        return self.place != self._synced and self._clock.monotonic_ns() - self._synced_ns >= SYNC_NS

    def sync(self) -> None:
        """Keep it through a power cut, too; raises OutputError. Any thread."""
        place, self._synced_ns = self.place, self._clock.monotonic_ns()
        try:
            if self._failure is not None:
                raise self._failure
            if place != self._synced:
                os.fsync(self._wal)
        except (sqlite3.Error, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise OutputError(f"{self._path}: cannot be written: {why}; free space or check the disk") from error
        self._synced = place

    def close(self) -> None:
        """Give the file back; may be called twice."""
        self._given_back.close()

    def _begun(self, begin: Place) -> Place:
        connection = self._connection
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        if application == 0 and not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("CREATE TABLE told (records_id TEXT NOT NULL, part_id INTEGER NOT NULL, wall_ns INTEGER)")
            connection.execute("INSERT INTO told VALUES (?, ?, ?)", begin)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("COMMIT")
        elif application != APPLICATION_ID:
            raise sqlite3.DatabaseError("another program's database")
        return Place(*connection.execute("SELECT records_id, part_id, wall_ns FROM told").fetchone())
