"""The parts of the past: what to look for, a page of them at a time, their pictures, and all of it as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from edge.errors import ConfigError
from edge.line.part_tracker import Action
from edge.records.part_csv import HEADER, csv_row
from edge.records.record_query import RecordQuery
from edge.storage.archive_room import HEAT_SUFFIX, NAME, Kind
from edge.verdict import Outcome

PAGE = 50
CSV_CHUNK = 1000
HOUR_NS = 3_600_000_000_000
DEFAULT_HOURS = 24
LATEST_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which parts. until_ns is not within."""

    since_ns: int
    until_ns: int
    outcome: Outcome | None
    action: Action | None


def wanted_parts(now_ns: int, since: str, until: str, outcome: str, action: str) -> Wanted:
    """From what a form says; what is empty is left open, and the last day is shown. Raises ConfigError."""
    until_ns = _moment(until) if until else LATEST_NS
    since_ns = _moment(since) if since else min(until_ns, now_ns) - DEFAULT_HOURS * HOUR_NS
    try:
        return Wanted(since_ns, until_ns, Outcome(outcome) if outcome else None, Action(action) if action else None)
    except ValueError as error:
        raise ConfigError(f"{error}; choose one of the list") from error


def page_of_parts(query: RecordQuery, wanted: Wanted, before: int | None) -> tuple[list[dict[str, Any]], int | None]:
    """(rows, the newest first; what ``before`` is for the next page, None on the last). Keys: COLUMNS."""
    rows = list(query.parts(wanted.since_ns, wanted.until_ns, wanted.outcome, wanted.action, PAGE + 1, before))[::-1]
    return rows[:PAGE], rows[PAGE - 1]["part_id"] if len(rows) > PAGE else None


def csv_lines(query: RecordQuery, wanted: Wanted) -> Iterator[bytes]:
    """All of them, the newest first as on the page, as UTF-8 with a mark that spreadsheets know it by.

    Read piece by piece: who takes it slowly must not hold up the log of those who write.
    """
    before: int | None = None
    head: list[Sequence[Any]] = [HEADER]
    while True:
        rows = list(query.parts(wanted.since_ns, wanted.until_ns, wanted.outcome, wanted.action, CSV_CHUNK, before))[::-1]
        text = io.StringIO()
        text.write("\ufeff" if head else "")
        csv.writer(text).writerows([*head, *map(csv_row, rows)])
        yield text.getvalue().encode()
        if len(rows) < CSV_CHUNK:
            return
        head, before = [], rows[-1]["part_id"]


def archived_picture(archive: Path, image: str, heat: bool) -> Path | None:
    """The file that a record names, where it is one of the archive's; None where it made way, or is anything else."""
    parts = Path(image).parts
    kinds = {kind.folder for kind in Kind}
    if len(parts) != 3 or parts[1] not in kinds or NAME.fullmatch(parts[2]) is None or not parts[0].replace("-", "").isdecimal():
        return None
    path = archive.joinpath(*parts)
    path = path.with_suffix(HEAT_SUFFIX) if heat else path
    return path if path.is_file() and path.resolve().is_relative_to(archive.resolve()) else None


def _moment(text: str) -> int:
    """As the browser's field gives it: local time of this machine, which the panel stands beside."""
    try:
        moment = round(datetime.fromisoformat(text).timestamp() * 1e9)
    except (ValueError, OverflowError, OSError) as error:
        raise ConfigError(f"expected a time such as 2026-11-24T06:00, got {text[:40]!r}") from error
    if not 0 <= moment < LATEST_NS:
        raise ConfigError(f"expected a time after 1970, got {text[:40]!r}")
    return moment
