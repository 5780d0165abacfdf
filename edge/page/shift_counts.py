"""What the present shift came to so far, from the records: each part once, and no query that grows with the shift."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from edge.errors import RecordsError
from edge.records.part_schema import require_version

WAIT_S = 2.0
NAMES = ("PASS", "REJECT", "FAULT")


def shift_start(now: datetime, starts: Sequence[str]) -> datetime:
    """When the shift of ``now`` began. starts: ``HH:MM`` of each, ascending; both in local time, without a zone."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    moments = [day + timedelta(days=back, hours=int(one[:2]), minutes=int(one[3:])) for back in (-1, 0) for one in starts]
    return max(moment for moment in moments if moment <= now)


@dataclass(slots=True)
class ShiftCounts:
    """Of parts from ``since_ns`` on. Rows that nothing changes any more are counted once and passed over from then on.

    outcomes: PASS, REJECT, FAULT and in flight → parts.
    """

    path: Path
    since_ns: int
    _settled: Counter[str] = field(default_factory=Counter)
    _until: int = -1

    def outcomes(self) -> dict[str, int]:
        """Now; raises RecordsError."""
        try:
            name = f"file:{self.path}?mode=ro"
            with closing(sqlite3.connect(name, uri=True, timeout=WAIT_S, isolation_level=None)) as connection:
                require_version(connection, self.path)
                connection.execute("BEGIN")
                first_open, newest = connection.execute(
                    "SELECT (SELECT min(part_id) FROM parts WHERE action IS NULL), (SELECT max(part_id) FROM parts)"
                ).fetchone()
                if newest is None:
                    return self._all({})
                settled = newest if first_open is None else first_open - 1
                if settled > self._until:
                    self._settled.update(self._counted(connection, self._until, settled))
                    self._until = settled
                return self._all(self._counted(connection, self._until, newest))
        except sqlite3.Error as error:
            raise RecordsError(f"{self.path}: cannot read the records: {error}") from error

    def _counted(self, connection: sqlite3.Connection, after: int, until: int) -> dict[str, int]:
        # The plus sign leaves SQLite the index of times, of which the first count takes the part that is of this shift.
        key = "+part_id" if after < 0 else "part_id"
        rows = connection.execute(
            f"SELECT coalesce(outcome, ''), count(*) FROM parts WHERE {key} > ? AND {key} <= ? AND wall_ns >= ? GROUP BY 1",
            (after, until, self.since_ns),
        )
        return dict(rows)

    def _all(self, rest: dict[str, int]) -> dict[str, int]:
        total = self._settled + Counter(rest)
        return {**{name: total[name] for name in NAMES}, "in_flight": total[""]}
