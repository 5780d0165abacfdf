"""What was done, by whom and when: the inspection's trail and the page's own, as one list."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from edge.errors import RecordsError
from edge.records.audit_log import AuditTrail

MOST_SHOWN = 200
Origin = Literal["line", "page"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of one of the trails."""

    origin: Origin
    seq: int
    wall_ns: int
    kind: str
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether a trail is as it was written. problem: what is wrong with it first, empty where nothing is."""

    origin: Origin
    rows: int
    head: str
    problem: str


def newest_events(trails: dict[Origin, AuditTrail]) -> list[Entry]:
    """The newest of all, the newest first; a trail that is not there yet is empty. Raises RecordsError for a broken one."""
    found: list[list[Entry]] = []
    for origin, trail in trails.items():
        if trail.path.is_file():
            events = [Entry(origin, one.seq, one.wall_ns, one.kind, one.details) for one in trail.newest(MOST_SHOWN)]
            found.append(events)
    merged = heapq.merge(*found, key=lambda one: one.wall_ns, reverse=True)
    return list(islice(merged, MOST_SHOWN))


def checked(trails: dict[Origin, AuditTrail]) -> list[Checked]:
    """Each that is there."""
    found = []
    for origin, trail in trails.items():
        if not trail.path.is_file():
            continue
        try:
            audit = trail.verify()
        except RecordsError as error:
            found.append(Checked(origin, 0, "", str(error)))
            continue
        problem = f"row {audit.breaks[0].seq} {audit.breaks[0].what}" if audit.breaks else ""
        found.append(Checked(origin, audit.rows, audit.head, problem))
    return found
