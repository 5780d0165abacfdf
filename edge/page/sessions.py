"""Who is logged in: a random token in the browser, its hash here, so that log-out, lock-out and removal take effect at once."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from edge.clock import Clock
from edge.page.accounts import AccountFile
from edge.page.page_config import IdleConfig
from edge.page.roles import Role

TOKEN_BYTES = 32
LONGEST_NS = 7 * 24 * 3_600_000_000_000
"""A session ends then, whoever uses it."""
TOUCH_NS = 60_000_000_000
"""When it was last used is written no more often."""
MOST_PER_ACCOUNT = 20
MINUTE_NS = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is logged in. form_token: must come with every change, so that another site cannot ask for one."""

    token: str
    name: str
    role: Role
    form_token: str


class Sessions:
    """For any thread; raises OutputError."""

    def __init__(self, file: AccountFile, idle: IdleConfig, clock: Clock) -> None:
        self._file, self._clock = file, clock
        self._idle_ns = {role: getattr(idle, role.word) * MINUTE_NS for role in Role}

    def begin(self, name: str) -> Session | None:
        """A new one, by a token that nobody knew before; None where the account is gone. The oldest make way."""
        token, form_token = secrets.token_urlsafe(TOKEN_BYTES), secrets.token_urlsafe(TOKEN_BYTES)
        now = self._clock.wall_ns()
        with self._file.connected() as connection:
            row = connection.execute("SELECT role FROM accounts WHERE name = ?", (name,)).fetchone()
            if row is None:
                return None
            connection.execute("DELETE FROM sessions WHERE created_ns < ?", (now - LONGEST_NS,))
            connection.execute(
                "DELETE FROM sessions WHERE name = ?1 AND token NOT IN "
                "(SELECT token FROM sessions WHERE name = ?1 ORDER BY seen_ns DESC LIMIT ?2)",
                (name, MOST_PER_ACCOUNT - 1),
            )
            connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?)", (_digest(token), name, form_token, now, now))
        return Session(token, name, Role(row[0]), form_token)

    def find(self, token: str, used: bool = True) -> Session | None:
        """The one of that token, unless it is over. used: it counts as a sign of life."""
        now = self._clock.wall_ns()
        with self._file.connected() as connection:
            row = connection.execute(
                "SELECT name, role, form_token, sessions.created_ns, seen_ns "
                "FROM sessions JOIN accounts USING (name) WHERE token = ?",
                (_digest(token),),
            ).fetchone()
            if row is None:
                return None
            name, role, form_token, created_ns, seen_ns = row
            if now - created_ns > LONGEST_NS or now - seen_ns > self._idle_ns[Role(role)]:
                connection.execute("DELETE FROM sessions WHERE token = ?", (_digest(token),))
                return None
            if used and abs(now - seen_ns) > TOUCH_NS:
                connection.execute("UPDATE sessions SET seen_ns = ? WHERE token = ?", (now, _digest(token)))
        return Session(token, name, Role(role), form_token)

    def end(self, token: str) -> None:
        """Log out; nothing where it is over already."""
        with self._file.connected() as connection:
            connection.execute("DELETE FROM sessions WHERE token = ?", (_digest(token),))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
