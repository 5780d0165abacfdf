"""edge-inspect records: what the last shift came to, which parts, and all of it as CSV."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from edge.console.exit_code import reported
from edge.console.flags import add_bundle_flags, whole_number
from edge.console.plain_table import cell, say, show_table
from edge.line.part_tracker import Action
from edge.records.part_csv import HEADER, csv_row, utc
from edge.records.part_records import FILE, FOLDER
from edge.records.record_query import RecordQuery, Shift
from edge.storage.durable_files import new_content
from edge.storage.locations import bundle_path, state_path
from edge.verdict import Outcome

HOUR_NS = 3_600_000_000_000
LAST = 20


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    with reported("edge-inspect records", console) as outcome:
        folder: Path = options.records or state_path(options.state, bundle_path(options.bundle)) / FOLDER
        query = RecordQuery(folder / FILE)
        until = options.until if options.until is not None else time.time_ns() + 1
        since = options.since if options.since is not None else until - round(options.hours * HOUR_NS)
        if options.csv is not None:
            _export(query, since, until, options, console)
        elif options.list:
            _list(query, since, until, options)
        else:
            _summarise(query, since, until, options, console)
    return outcome.code


def _summarise(query: RecordQuery, since: int, until: int, options: argparse.Namespace, console: Console) -> None:
    shift = query.shift(since, until)
    if options.json:
        record = shift.to_record()
        print(json.dumps({"since": utc(shift.since_ns), "until": utc(shift.until_ns), **record}))
        return
    if not shift.parts:
        latest = query.latest_ns()
        newest = "there are none at all" if latest is None else f"the newest is of {utc(latest)}"
        say(console, f"no parts from {utc(since)} to {utc(until)}; {newest}")
        return
    table = Table(show_header=False, box=None)
    for row in _rows(shift):
        table.add_row(*map(cell, row))
    show_table(table)
    late = shift.actions.get(Action.LATE.value, 0)
    if late:
        say(console, f"{late} parts that were not good may have gone on: edge-inspect records --list --action late", "bold red")


def _rows(shift: Shift) -> list[tuple[str, str, str]]:
    def share(count: int) -> str:
        return f"{count / shift.parts:.1%}"

    rows = [
        ("from", utc(shift.since_ns), ""),
        ("to", utc(shift.until_ns), ""),
        ("parts", str(shift.parts), f"{shift.first_part_id} to {shift.last_part_id}"),
    ]
    rows += [(f"verdict {name}", str(count), share(count)) for name, count in shift.outcomes.items()]
    rows += [(f"action {name}", str(count), share(count)) for name, count in shift.actions.items()]
    rows += [(f"confirm {name}", str(count), "") for name, count in shift.confirms.items()]
    rows += [("FAULT", str(count), reason) for reason, count in shift.reasons.items()]
    rows.append(("calibrations", ", ".join(map(str, shift.serials)) or "–", ""))
    rows.append(("pictures", str(shift.archived), "in the archive"))
    return rows


def _list(query: RecordQuery, since: int, until: int, options: argparse.Namespace) -> None:
    rows = query.parts(since, until, options.outcome, options.action, options.last)
    if options.json:
        for row in rows:
            print(json.dumps({"time": utc(row["wall_ns"]), **row}))
        return
    picture = Column("picture", overflow="fold", min_width=42)
    table = Table("part", "time", "verdict", "score", "threshold", "action", "confirm", "reason", picture, box=None)
    for row in rows:
        figures = ("" if row[name] is None else f"{row[name]:.4g}" for name in ("score", "threshold"))
        said = (row["outcome"] or "–", *figures, row["action"] or "–", row["confirm"], row["reason"], row["image"])
        table.add_row(*map(cell, (str(row["part_id"]), utc(row["wall_ns"]), *said)))
    show_table(table)


def _export(query: RecordQuery, since: int, until: int, options: argparse.Namespace, console: Console) -> None:
    count = 0
    with new_content(options.csv) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(text)
        writer.writerow(HEADER)
        for row in query.parts(since, until, options.outcome, options.action):
            writer.writerow(csv_row(row))
            count += 1
        text.detach()
    say(console, f"{count} parts are in {options.csv}")


def _moment(text: str) -> int:
    try:
        return round(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1e9)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"expected a time such as 2026-11-24T06:00 (local) or …Z (UTC), got {text!r}") from error


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours <= 876_000:
        raise argparse.ArgumentTypeError(f"expected hours above 0, got {text!r}")
    return hours


def _one_of(kind: type[Outcome] | type[Action]) -> Callable[[str], Outcome | Action]:
    def named(text: str) -> Outcome | Action:
        try:
            return kind(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"expected one of {', '.join(one.value for one in kind)}, got {text!r}") from error

    return named


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("edge-inspect records", description=__doc__)
    add_bundle_flags(parser)
    parser.add_argument("--records", metavar="FOLDER", type=Path, help="folder of the records; default: records in the state")
    parser.add_argument("--hours", metavar="H", type=_hours, default=8.0, help="the last hours (default: %(default)s)")
    parser.add_argument("--since", metavar="TIME", type=_moment, help="from then on, instead of --hours")
    parser.add_argument("--until", metavar="TIME", type=_moment, help="up to then (default: now)")
    parser.add_argument("--list", action="store_true", help="the parts one by one")
    parser.add_argument(
        "--last", metavar="N", type=whole_number(1), default=LAST, help="with --list: how many (default: %(default)s)"
    )
    parser.add_argument("--outcome", type=_one_of(Outcome), metavar="|".join(one.value for one in Outcome), help="these only")
    parser.add_argument("--action", type=_one_of(Action), metavar="|".join(one.value for one in Action), help="these only")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="JSON on stdout: one object, or one line a part")
    form.add_argument("--csv", metavar="FILE", type=Path, help="write all parts of that time to FILE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
