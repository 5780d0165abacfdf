"""Reading part records while another process writes them: a list, and what a shift came to."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge.errors import RecordsError
from edge.line.part_tracker import Action
from edge.records.part_schema import SINCE, require_version
from edge.verdict import Outcome

COLUMNS = (
    "part_id", "trigger_ns", "exposed_ns", "decided_ns", "wall_ns", "counts", "feature_score", "reconstruction_score", "score",
    "threshold", "calibration_serial", "precision", "outcome", "reason", "action", "late_ns", "confirm", "source", "image",
    "recipe",
)  # fmt: skip
IN_FLIGHT = "in flight"
FIGURE = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
MOST_REASONS = 20
MOST_LOOKED_AT = 100_000
WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Shift:
    """Parts of a span of wall time. reasons: why parts were at fault, figures left out, → how many, the most frequent first.

    confirms: what the sensor at the reject chute said → how many, where there is one. archived: parts with a picture.
    """

    since_ns: int
    until_ns: int
    parts: int
    first_part_id: int | None
    last_part_id: int | None
    outcomes: dict[str, int]
    actions: dict[str, int]
    reasons: dict[str, int]
    confirms: dict[str, int]
    serials: list[int]
    archived: int

    def to_record(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


class RecordQuery:
    """The records of ``path``, only read; raises RecordsError where there are none, or they cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.is_file():
            raise RecordsError(f"{path}: expected part records, there are none; correct --state, or run edge-inspect first")

    def shift(self, since_ns: int, until_ns: int) -> Shift:
        """What the parts from ``since_ns`` on, and before ``until_ns``, came to."""
        span = (since_ns, until_ns)
        with self._connected() as connection:
            connection.execute("BEGIN")  # one moment for all of it, while parts go on being written
            within = "FROM parts WHERE wall_ns >= ? AND wall_ns < ?"
            count, first, last, archived = connection.execute(
                f"SELECT count(*), min(part_id), max(part_id), count(nullif(image, '')) {within}", span
            ).fetchone()

            def counted(column: str, where: str = "") -> dict[Any, int]:
                return dict(connection.execute(f"SELECT {column}, count(*) {within} {where} GROUP BY 1 ORDER BY 2 DESC, 1", span))

            outcomes, actions = counted("outcome"), counted("action")
            reasons: Counter[str] = Counter()
            for reason, number in counted("reason", "AND outcome = 'FAULT'").items():
                reasons[FIGURE.sub("…", reason)] += number
            confirms = counted("confirm", "AND confirm <> ''")
            serials = sorted(serial for serial in counted("calibration_serial") if serial is not None)
        names = [*(outcome.value for outcome in Outcome), None]
        known = [*(action.value for action in Action), "untracked", None]
        return Shift(
            since_ns=since_ns, until_ns=until_ns, parts=count, first_part_id=first, last_part_id=last,
            outcomes={name or IN_FLIGHT: outcomes[name] for name in names if name in outcomes},
            actions={name or IN_FLIGHT: actions[name] for name in known if name in actions},
            reasons=dict(reasons.most_common(MOST_REASONS)), confirms=confirms, serials=serials, archived=archived,
        )  # fmt: skip

    def latest_ns(self) -> int | None:
        """Wall time of the newest part; None where there is none."""
        with self._connected() as connection:
            found: int | None = connection.execute("SELECT max(wall_ns) FROM parts").fetchone()[0]
        return found

    def part(self, part_id: int) -> dict[str, Any] | None:
        """The row of one part, None where there is none. Keys: COLUMNS."""
        with self._connected() as connection:
            row = connection.execute(f"SELECT {self._columns(connection)} FROM parts WHERE part_id = ?", (part_id,)).fetchone()
        return None if row is None else dict(zip(COLUMNS, row, strict=True))

    def newest(self, count: int) -> list[tuple[int, str | None, float | None, float | None, int | None]]:
        """(part id, outcome, score, threshold, nanoseconds from trigger to verdict) of the newest parts, the newest first."""
        with self._connected() as connection:
            return connection.execute(
                "SELECT part_id, outcome, score, threshold, decided_ns - trigger_ns FROM parts ORDER BY part_id DESC LIMIT ?",
                (count,),
            ).fetchall()

    def rejected(self, count: int) -> list[dict[str, Any]]:
        """Rows of the newest parts that are no PASS, the newest first; looks at so many of the newest only. Keys: COLUMNS."""
        with self._connected() as connection:
            newest = connection.execute("SELECT max(part_id) FROM parts").fetchone()[0]
            oldest = (newest or 0) - MOST_LOOKED_AT
            rows = connection.execute(
                f"SELECT {self._columns(connection)} FROM parts WHERE part_id > ? AND outcome IN ('REJECT', 'FAULT') "
                "ORDER BY part_id DESC LIMIT ?",
                (oldest, count),
            ).fetchall()
        return [dict(zip(COLUMNS, row, strict=True)) for row in rows]

    def parts(
        self,
        since_ns: int,
        until_ns: int,
        outcome: Outcome | None = None,
        action: Action | None = None,
        last: int | None = None,
        before: int | None = None,
    ) -> Generator[dict[str, Any], None, None]:
        """Rows by part id, oldest first; only the ``last`` ones, and of ids below ``before``, where given. Keys: COLUMNS."""
        where, values = "wall_ns >= ? AND wall_ns < ?", [since_ns, until_ns]
        arguments: list[Any] = list(values)
        if before is not None:
            where += " AND part_id < ?"
            arguments.append(before)
        if outcome is not None:
            where += " AND outcome = ?"
            arguments.append(outcome.value)
        if action is not None:
            where += " AND action = ?"
            arguments.append(action.value)
        arguments.append(-1 if last is None else last)
        with self._connected() as connection:
            newest = f"SELECT {self._columns(connection)} FROM parts WHERE {where} ORDER BY part_id DESC LIMIT ?"
            for row in connection.execute(f"SELECT * FROM ({newest}) ORDER BY part_id", arguments):
                yield dict(zip(COLUMNS, row, strict=True))

    def _columns(self, connection: sqlite3.Connection) -> str:
        version = require_version(connection, self._path)
        return ", ".join(name if SINCE.get(name, 0) <= version else f"'' AS {name}" for name in COLUMNS)

    def _connected(self) -> _Reading:
        return _Reading(self._path)


class _Reading:
    """A connection that only reads, for the length of a ``with``; what SQLite says against it becomes a RecordsError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> sqlite3.Connection:
        try:
            self._connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=WAIT_S, isolation_level=None)
            try:
                require_version(self._connection, self._path)
            except BaseException:
                self._connection.close()
                raise
        except sqlite3.Error as error:
            raise self._told(error) from error
        return self._connection

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with closing(self._connection):
            if isinstance(error, sqlite3.Error):
                raise self._told(error) from error

    def _told(self, error: sqlite3.Error) -> RecordsError:
        # SQLITE_CORRUPT and SQLITE_NOTADB are of DatabaseError itself; what a lock or a right forbids is an OperationalError.
        damaged = type(error) is sqlite3.DatabaseError
        do = "the next edge-inspect sets them aside and begins anew" if damaged else "read them as the user who writes them"
        return RecordsError(f"{self._path}: cannot read the records: {error}; {do}")
