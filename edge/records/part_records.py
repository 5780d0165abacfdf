"""What became of every part, in SQLite: journalled when it is seen, whole when it has left the arm, accounted for after a crash."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

from edge.clock import Clock
from edge.errors import OutputError, RecordsError
from edge.line.part_tracker import Action, Part
from edge.records.part_schema import migrate
from edge.records.records_config import RecordsConfig
from edge.storage.background_writer import BackgroundWriter
from edge.storage.damaged_database import set_aside
from edge.storage.file_lock import lock_file, taken
from edge.verdict import Outcome, Verdict, finite_or_none

FOLDER = "records"
FILE = "parts.sqlite"
CAPACITY = 16_384
"""Statements that wait for the disk, three a part."""
RETRY_S = 1.0
SYNC_S = 0.25
"""What a power cut can lose, at most, on a disk that keeps what it was told to sync. A killed process loses what is queued only."""
RESERVED = 10_000
"""Numbers set aside before parts get them: one that was told anywhere is never given again, whatever the disk took of it."""
RETENTION_S = 60.0
MOST_REMOVED = 2000
"""Rows at a time, so that new ones do not wait long."""
UNTRACKED = "untracked"
"""Action of a part at a line without triggers: it is not known which part the line's word was for."""
ENDED = "the program ended, or its record was lost, before its verdict"

_ACCEPTED = """
    INSERT INTO parts (part_id, trigger_ns, counts, wall_ns) VALUES (?, ?, ?, ?)
    ON CONFLICT (part_id) DO UPDATE SET trigger_ns = excluded.trigger_ns, counts = excluded.counts"""
# A part that is at fault stays so, and one that has left the arm keeps what was said of it; scores are taken all the same.
_DECIDED = """
    INSERT INTO parts (part_id, trigger_ns, exposed_ns, decided_ns, wall_ns, feature_score, reconstruction_score, score, threshold,
        calibration_serial, precision, outcome, reason, source, recipe)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (part_id) DO UPDATE SET exposed_ns = excluded.exposed_ns, decided_ns = excluded.decided_ns,
        feature_score = excluded.feature_score, reconstruction_score = excluded.reconstruction_score, score = excluded.score,
        threshold = excluded.threshold, calibration_serial = excluded.calibration_serial, precision = excluded.precision,
        source = excluded.source, recipe = excluded.recipe,
        reason = CASE WHEN action IS NULL AND outcome IS NOT 'FAULT' THEN excluded.reason ELSE reason END,
        outcome = CASE WHEN action IS NULL AND outcome IS NOT 'FAULT' THEN excluded.outcome ELSE outcome END"""
_FINISHED = """
    INSERT INTO parts (part_id, wall_ns, outcome, reason, action, late_ns) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (part_id) DO UPDATE SET outcome = excluded.outcome, reason = excluded.reason, action = excluded.action,
        late_ns = excluded.late_ns WHERE action IS NULL"""
_CONFIRMED = "UPDATE parts SET confirm = ? WHERE part_id = ?"
_ARCHIVED = "UPDATE parts SET image = ? WHERE part_id = ?"
_RECOVERED = f"""
    UPDATE parts SET reason = CASE WHEN outcome IS NULL THEN '{ENDED}' ELSE reason END, outcome = coalesce(outcome, 'FAULT'),
        action = 'unknown' WHERE action IS NULL"""

Statement = tuple[str, tuple[Any, ...]]


class PartRecords:
    """The records in ``folder``, for one process at a time; every method but ``close`` returns at once, from any thread.

    next_part_id: the number of the next part, one more than any that was recorded. recovered: parts that were in flight when the
    last process ended; they are FAULT where they had no verdict, and their action is unknown. ``tell`` gets one line when records
    cannot be written, and one when they can again; it must not wait. Raises RecordsError, OutputError.
    """

    def __init__(self, folder: Path, config: RecordsConfig, clock: Clock, tell: Callable[[str], None]) -> None:
        self.path = folder / FILE
        self._config, self._clock, self._sync_due, self._retention_due = config, clock, 0.0, 0.0
        self._unsynced = False
        with ExitStack() as stack:
            if not taken(stack.enter_context(lock_file(folder))):
                raise RecordsError(f"{folder}: another edge-inspect writes there; stop it, or choose another --state")
            try:
                self._connection, self.recovered = self._open(tell)
                stack.callback(self._connection.close)
                self.next_part_id = self._next_part_id()
                self._given, self._reserved = self.next_part_id, self.next_part_id
                self._reserve(self.next_part_id + RESERVED)
                self._wal = os.open(self.path.with_name(f"{FILE}-wal"), os.O_RDONLY)
            except (sqlite3.Error, OSError) as error:
                raise OutputError(f"{self.path}: cannot write records: {error}; free space or check the disk") from error
            stack.callback(os.close, self._wal)
            self._given_back = stack.pop_all()
        self._unsynced = self.recovered > 0
        self._writer = BackgroundWriter[Statement](
            "part records", self._write, tell, CAPACITY, retry_s=RETRY_S, idle=self._keep_house, idle_s=SYNC_S
        )

    @property
    def dropped(self) -> int:
        """Statements that were not written."""
        return self._writer.dropped

    @property
    def failure(self) -> Exception | None:
        """Why nothing can be written now; None while it can."""
        return self._writer.failure

    def accepted(self, part: Part) -> None:
        """A trigger made ``part``."""
        self._given = max(self._given, part.part_id + 1)
        self._writer.add((_ACCEPTED, (part.part_id, part.trigger_ns, part.counts, self._clock.wall_ns())))

    def decided(self, verdict: Verdict, precision: str) -> None:
        """The verdict that counts."""
        self._given = max(self._given, verdict.part_id + 1)
        scores = verdict.scores
        figures = (None, None, None) if scores is None else (scores.feature_score, scores.reconstruction_score, scores.score)
        times = (verdict.trigger_ns, verdict.exposed_ns, verdict.decided_ns, verdict.wall_ns)
        judged = (verdict.threshold, verdict.calibration_serial, precision, verdict.outcome.value, verdict.reason)
        row = (verdict.part_id, *times, *figures, *judged, verdict.source, verdict.recipe)
        self._writer.add((_DECIDED, tuple(finite_or_none(row))))

    def finished(
        self, part_id: int, outcome: Outcome | None, reason: str, action: Action | None, late_ns: int | None = None
    ) -> None:
        """The part has left the arm, and nothing changes any more. outcome: None, never decided, is a FAULT.

        action: None at a line without triggers. late_ns: how long the line said pass although the part was not a PASS.
        """
        said, why = (Outcome.FAULT, reason or ENDED) if outcome is None else (outcome, reason)
        done = UNTRACKED if action is None else action.value
        self._writer.add((_FINISHED, (part_id, self._clock.wall_ns(), said.value, why, done, late_ns)))

    def confirmed(self, part_id: int, confirm: str) -> None:
        """What the sensor at the reject chute said of the part."""
        self._writer.add((_CONFIRMED, (confirm, part_id)))

    def archived(self, part_id: int, image: str) -> None:
        """Its picture lies in the file ``image`` of the archive; empty: no longer."""
        self._writer.add((_ARCHIVED, (image, part_id)))

    def flush(self, timeout_s: float) -> bool:
        """Wait until what was told before is in the database; for tests and the end."""
        return self._writer.flush(timeout_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what is queued, sync, give the folder back; gives up after ``timeout_s``. May be called twice."""
        if self._writer.close(timeout_s):
            with suppress(sqlite3.Error):  # already closed, or a disk that is full: the log beside it holds everything
                self._reserve(self._given)
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._given_back.close()

    def _open(self, tell: Callable[[str], None]) -> tuple[sqlite3.Connection, int]:
        try:
            return _connect(self.path)
        except sqlite3.OperationalError:  # full, locked or gone, and whole for all that is known
            raise
        except sqlite3.DatabaseError as error:
            first = _highest_id(self.path) + 1
            aside = set_aside(self.path, self._clock.wall_ns())
            tell(f"{self.path}: is damaged ({error}); it is now {aside.name}, and new records begin at part {first}")
            connection, recovered = _connect(self.path)
            connection.execute("UPDATE numbering SET first_part_id = ?", (first,))
            return connection, recovered

    def _next_part_id(self) -> int:
        highest: int | None
        first: int
        highest, first = self._connection.execute(
            "SELECT (SELECT max(part_id) FROM parts), first_part_id FROM numbering"
        ).fetchone()
        return max(first, 0 if highest is None else highest + 1)

    def _reserve(self, until: int) -> None:
        """After a killed process numbers go on there; one that ends in order gives back what it did not use."""
        self._connection.execute("UPDATE numbering SET first_part_id = ?", (until,))
        self._reserved, self._unsynced = until, True

    def _write(self, statements: list[Statement]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for statement, parameters in statements:
                self._connection.execute(statement, parameters)
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise
        self._unsynced = True

    def _keep_house(self) -> None:
        """With synchronous=NORMAL SQLite syncs at checkpoints only; a sync of its log every quarter of a second bounds the loss."""
        now = time.monotonic()
        if self._given + RESERVED // 2 > self._reserved:
            self._reserve(self._given + RESERVED)
        if self._unsynced and now >= self._sync_due:
            self._sync_due = now + SYNC_S
            os.fsync(self._wal)
            self._unsynced = False
        if now >= self._retention_due:
            more = self._remove_old()
            self._retention_due = now + (0.0 if more else RETENTION_S)

    def _remove_old(self) -> bool:
        """True where more is to be removed. Parts in flight stay."""
        # By how many there are, not by their numbers, which jump after a crash.
        where, limit = "part_id <= (SELECT part_id FROM parts ORDER BY part_id DESC LIMIT 1 OFFSET ?)", [self._config.keep_parts]
        if self._config.keep_days is not None:
            where += " OR wall_ns < ?"
            limit.append(self._clock.wall_ns() - round(self._config.keep_days * 86_400e9))
        removed = self._connection.execute(
            "DELETE FROM parts WHERE part_id IN (SELECT part_id FROM parts "
            f"WHERE ({where}) AND action IS NOT NULL AND part_id < (SELECT max(part_id) FROM parts) LIMIT {MOST_REMOVED})",
            limit,
        ).rowcount
        self._unsynced = self._unsynced or removed > 0
        return removed == MOST_REMOVED


def _connect(path: Path) -> tuple[sqlite3.Connection, int]:
    """The database, and how many parts that were in flight it has now accounted for."""
    # One thread at a time: the one that opens it, then the writer's, then the one that closes it.
    connection = sqlite3.connect(path, timeout=2.0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        migrate(connection, path)
        connection.execute("SELECT max(part_id), max(wall_ns) FROM parts").fetchone()  # a damaged file is known now
        return connection, connection.execute(_RECOVERED).rowcount
    except BaseException:
        connection.close()
        raise


def _highest_id(path: Path) -> int:
    """Of a damaged file, as far as it can be read; −1 where it cannot."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=2.0)) as connection:
        highest = connection.execute("SELECT max(part_id) FROM parts").fetchone()[0]
        return -1 if highest is None else int(highest)
    return -1
