"""What the routes of the page work with, made once at the start."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from edge.clock import Clock
from edge.page.accounts import Accounts
from edge.page.calibrate_job import CalibrateJob
from edge.page.live_feed import LiveFeed
from edge.page.login_limits import AddressLimit, NameLocks
from edge.page.page_config import PageConfig
from edge.page.place import Place
from edge.page.sessions import Sessions
from edge.records.audit_log import AuditTrail

if TYPE_CHECKING:
    from starlette.requests import Request


@dataclass(frozen=True)
class PageParts:
    """``one_hash``: a password at a time is hashed, since each takes 64 MiB and a core."""

    place: Place
    clock: Clock
    accounts: Accounts
    sessions: Sessions
    addresses: AddressLimit
    locks: NameLocks
    feed: LiveFeed
    job: CalibrateJob
    trail: AuditTrail
    one_hash: threading.Lock

    @property
    def config(self) -> PageConfig:
        """`page:` of the station."""
        return self.place.page

    def audit(self, kind: str, **details: Any) -> None:
        """Write down what is about to be done, or was; raises OutputError, and then it must not be done."""
        self.trail.append(self.clock.wall_ns(), kind, details)


def parts_of(request: Request) -> PageParts:
    """Of the app that answers."""
    return cast(PageParts, request.app.state.parts)
