"""The records as an outbox: parts that have left the arm, in the order of their numbers, for whoever passes them on. Only read.

A part that is done never changes again but for its picture and its confirm, and parts are done in the order of their numbers. So
what lies below one that is done, and is not done itself, never will be: it was lost, or removed as too old, and is told as a gap.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from edge.errors import RecordsError
from edge.plant.part_result import COLUMNS, Gap, PartResult, Place
from edge.records.part_schema import VERSION, require_version

WAIT_S = 1.0
REMOVED = "no longer in the records, or without an end there: removed as too old, or lost"
KILLED = (
    "the run before was killed or lost power, and numbers go on after those it had set aside; parts it had not recorded are lost"
)
UNKNOWN = "the part that was told last is not in these records, which are new or older ones; it goes on with this run's first part"

_DONE = "SELECT part_id FROM parts WHERE action IS NOT NULL ORDER BY part_id DESC LIMIT 1"
_NEXT = f"SELECT {', '.join(COLUMNS)} FROM parts WHERE part_id >= ? AND action IS NOT NULL ORDER BY part_id LIMIT ?"


class Outbox:
    """The records in ``path``, for one thread. first_part_id: of the run that writes them. Raises RecordsError."""

    def __init__(self, path: Path, first_part_id: int) -> None:
        self._path, self._first = path, first_part_id
        self._connection: sqlite3.Connection | None = None
        self._inode = self._version = -1

    def begin(self) -> Place:
        """Where one stands who was told nothing so far: before the first part of this run."""
        return Place(self._records_id(self._connected()), self._first - 1, None)

    def news(self) -> bool:
        """True where something may have changed since it was asked last; costs a few microseconds."""
        connection = self._connected()
        try:
            version: int = connection.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error as error:
            raise self._unreadable(error) from error
        changed, self._version = version != self._version, version
        return changed

    def after(self, place: Place, most: int) -> list[PartResult]:
        """What is done after ``place``, at most so many; the first says what is missing before it."""
        connection = self._connected()
        try:
            # One moment for all of it, while parts go on being written; any error closes the connection, and ends it as well.
            connection.execute("BEGIN")
            records_id = self._records_id(connection)
            start, unknown = self._start(connection, place, records_id)
            rows = connection.execute(_NEXT, (start, most)).fetchall()
            connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise self._unreadable(error) from error
        results = []
        expected, reason = place.part_id + 1, UNKNOWN if unknown else ""
        for row in rows:
            if row[0] != expected and not reason:
                reason = KILLED if row[0] == self._first else REMOVED
            results.append(PartResult.of_row(records_id, row, Gap(expected=expected, reason=reason) if reason else None))
            expected, reason = row[0] + 1, ""
        return results

    def waiting(self, place: Place) -> int:
        """About how many parts are done after ``place``."""
        connection = self._connected()
        try:
            done = connection.execute(_DONE).fetchone()
        except sqlite3.Error as error:
            raise self._unreadable(error) from error
        return 0 if done is None else max(0, done[0] - place.part_id)

    def sync(self) -> None:
        """Make what was read durable; any thread. A part told and then lost to a power cut would give its number to another one.

        The records' own thread syncs a quarter of a second later. Where there is no log, all is in the database and synced.
        """
        with suppress(FileNotFoundError):
            handle = os.open(self._path.with_name(f"{self._path.name}-wal"), os.O_RDONLY)
            try:
                os.fsync(handle)
            except OSError as error:
                raise self._unreadable(error) from error
            finally:
                os.close(handle)

    def close(self) -> None:
        """May be called twice; it opens again when asked."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _records_id(self, connection: sqlite3.Connection) -> str:
        try:
            row = connection.execute("SELECT records_id FROM numbering").fetchone()
        except sqlite3.Error as error:
            raise self._unreadable(error) from error
        if row is None:
            raise self._unreadable(ValueError("they do not say whose they are"))
        return str(row[0])

    def _start(self, connection: sqlite3.Connection, place: Place, records_id: str) -> tuple[int, bool]:
        """The number to go on with, and whether ``place`` is unknown here."""
        row = connection.execute("SELECT wall_ns FROM parts WHERE part_id = ?", (place.part_id,)).fetchone()
        if place.records_id != records_id:
            known = False
        elif place.wall_ns is None:
            known = place.part_id < self._first
        elif row is not None:
            known = row[0] == place.wall_ns
        else:  # the oldest go first
            first = connection.execute("SELECT min(part_id) FROM parts").fetchone()[0]
            known = first is None or first > place.part_id
        return (place.part_id + 1, False) if known else (self._first, True)

    def _connected(self) -> sqlite3.Connection:
        try:
            inode = os.stat(self._path).st_ino
            if self._connection is not None and inode != self._inode:  # set aside as damaged
                self.close()
            if self._connection is None:
                uri = f"file:{self._path}?mode=ro"
                connection = sqlite3.connect(uri, uri=True, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
                try:
                    if require_version(connection, self._path) != VERSION:
                        raise RecordsError(
                            f"{self._path}: are of an older version; start edge-inspect, which brings them up to date"
                        )
                except BaseException:
                    connection.close()
                    raise
                self._connection, self._inode, self._version = connection, inode, -1
        except (sqlite3.Error, OSError) as error:
            raise self._unreadable(error) from error
        return self._connection

    def _unreadable(self, error: Exception) -> RecordsError:
        self.close()
        why = error.strerror if isinstance(error, OSError) else error
        return RecordsError(f"{self._path}: cannot read the records: {why}; is edge-inspect running as the same user?")
