"""edge-inspect audit: what was done to the inspection, and whether the record of it is whole."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from edge.console.exit_code import reported
from edge.console.flags import add_bundle_flags, whole_number
from edge.console.plain_table import cell, say, show_table
from edge.errors import EXIT_FAILED, EXIT_OK
from edge.records.audit_log import FOLDER, AuditTrail, Event
from edge.storage.locations import bundle_path, state_path


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    with reported("edge-inspect audit", console) as outcome:
        folder: Path = options.audit or state_path(options.state, bundle_path(options.bundle)) / FOLDER
        outcome.code = (_verify if options.what == "verify" else _list)(AuditTrail(folder), options, console)
    return outcome.code


def _verify(trail: AuditTrail, options: argparse.Namespace, console: Console) -> int:
    audit = trail.verify(options.noted)
    if options.json:
        breaks = [{"row": one.seq, "what": one.what} for one in audit.breaks]
        print(json.dumps({"rows": audit.rows, "head": audit.head, "whole": not breaks, "breaks": breaks}))
    for one in audit.breaks:
        say(console, f"edge-inspect audit: row {one.seq} {one.what}", "red")
    if audit.breaks:
        return EXIT_FAILED
    if not options.json:
        say(console, f"{audit.rows} rows are as they were written; the last has the hash")
        print(audit.head)
        say(console, "note it elsewhere, and give it to --noted later: a trail that was written anew as a whole cannot have it")
    return EXIT_OK


def _list(trail: AuditTrail, options: argparse.Namespace, _: Console) -> int:
    events = list(trail.events())[-options.last :]
    if options.json:
        for event in events:
            print(json.dumps({"row": event.seq, "time": _time(event), "kind": event.kind, "details": event.details}))
        return EXIT_OK
    table = Table("row", "time", "event", "", box=None)
    for event in events:
        details = ", ".join(f"{name} {value}" for name, value in event.details.items())
        table.add_row(*map(cell, (str(event.seq), _time(event), event.kind, details)))
    show_table(table)
    return EXIT_OK


def _time(event: Event) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(event.wall_ns / 1e9))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("edge-inspect audit", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="what")
    verify = commands.add_parser("verify", help="check every row; exit code 1 names the first that was changed or is missing")
    verify.add_argument("--noted", metavar="HASH", help="a hash that was told before; it must still be in the trail")
    shown = commands.add_parser("list", help="the last events, oldest first")
    shown.add_argument("--last", metavar="N", type=whole_number(1), default=50, help="how many (default: %(default)s)")
    for one in (verify, shown):
        add_bundle_flags(one)
        one.add_argument("--audit", metavar="FOLDER", type=Path, help="folder of the trail; default: audit in the state")
        one.add_argument("--json", action="store_true", help="JSON on stdout")
    return parser


if __name__ == "__main__":
    sys.exit(main())
