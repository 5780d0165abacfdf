"""How often one may try to log in: so many a minute from one address, and a name is locked after a row of wrong passwords."""

from __future__ import annotations

from collections import OrderedDict

from edge.clock import Clock
from edge.page.accounts import AccountFile

PER_MINUTE = 10
MOST_ADDRESSES = 4096
FREE_FAILURES = 5
"""So many wrong passwords in a row cost nothing; each further one locks the name for twice as long."""
FIRST_LOCK_S, LONGEST_LOCK_S = 30, 900
FORGET_NS = 24 * 3_600_000_000_000
MOST_NAMES = 10_000
SECOND_NS = 1_000_000_000


class AddressLimit:
    """A bucket of PER_MINUTE attempts for each address, filled evenly; in memory. For one thread at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def allows(self, address: str) -> bool:
        """Take one attempt; False where there is none left."""
        now = self._clock.monotonic_ns()
        left, since = self._buckets.pop(address, (float(PER_MINUTE), now))
        left = min(float(PER_MINUTE), left + (now - since) / 60e9 * PER_MINUTE)
        allowed = left >= 1
        self._buckets[address] = (left - 1 if allowed else left, now)
        while len(self._buckets) > MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        return allowed


class NameLocks:
    """Kept on disk, so that a restart opens nothing; for names without an account too, so that a lock tells nothing of them."""

    def __init__(self, file: AccountFile, clock: Clock) -> None:
        self._file, self._clock = file, clock

    def locked_s(self, name: str) -> int:
        """For how many seconds more no password is looked at; 0 where one is."""
        with self._file.connected() as connection:
            row = connection.execute("SELECT count, last_ns FROM failures WHERE name = ?", (name,)).fetchone()
        if row is None or row[0] < FREE_FAILURES:
            return 0
        lock_s: int = min(LONGEST_LOCK_S, FIRST_LOCK_S * 2 ** min(16, row[0] - FREE_FAILURES))
        passed_ns: int = self._clock.wall_ns() - row[1]
        if passed_ns < 0:  # the clock was set back, and a lock must not last for as long as that
            return 0
        return max(0, -(-(lock_s * SECOND_NS - passed_ns) // SECOND_NS))

    def failed(self, name: str) -> None:
        """One more wrong password."""
        now = self._clock.wall_ns()
        with self._file.connected() as connection:
            connection.execute("DELETE FROM failures WHERE last_ns < ?", (now - FORGET_NS,))
            connection.execute(
                "INSERT INTO failures VALUES (?, 1, ?) "
                "ON CONFLICT (name) DO UPDATE SET count = count + 1, last_ns = excluded.last_ns",
                (name, now),
            )
            connection.execute(
                "DELETE FROM failures WHERE name IN (SELECT name FROM failures ORDER BY last_ns DESC LIMIT -1 OFFSET ?)",
                (MOST_NAMES,),
            )

    def succeeded(self, name: str) -> None:
        """The row of wrong ones is over."""
        with self._file.connected() as connection:
            connection.execute("DELETE FROM failures WHERE name = ?", (name,))
