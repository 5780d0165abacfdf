"""edge-inspect stats: what a running edge-inspect does now, and what the last hours came to."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from edge.clock import SystemClock
from edge.console.exit_code import reported
from edge.console.flags import add_bundle_flags, whole_number
from edge.console.plain_table import cell, show_table
from edge.errors import NotRunningError, RecordsError
from edge.live.live_reader import LiveReader
from edge.live.live_status import STAGE_BOUNDS_MS, LiveStatus, StageTimes
from edge.records.part_records import FILE, FOLDER
from edge.records.record_query import RecordQuery, Shift
from edge.storage.locations import bundle_path, state_path
from edge.supervision.stop_signals import StopSignals

HOUR_NS = 3_600_000_000_000
WATCH_NS = 500_000_000
Row = tuple[str, str, str]


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code: 1 where no edge-inspect runs, though there are records."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    with reported("edge-inspect stats", console) as outcome, StopSignals() as signals:
        state = state_path(options.state, bundle_path(options.bundle))
        clock = SystemClock()
        reader = LiveReader(state, clock)

        def seen() -> tuple[LiveStatus | None, Shift | None]:
            return _seen(reader, state, options.hours)

        try:
            if options.watch and not options.json:
                with Live(console=Console(), refresh_per_second=4, transient=False) as live:
                    while not signals.stop.is_set():
                        live.update(Group(table(*seen())))
                        clock.wait(signals.stop, WATCH_NS)
            else:
                status, shift = seen()
                if options.json:
                    _print(status, shift)
                    while options.watch and not clock.wait(signals.stop, WATCH_NS):
                        _print(*seen())
                else:
                    show_table(table(status, shift))
                outcome.code = 0 if status is not None else 1
        finally:
            reader.close()
    return outcome.code


def _seen(reader: LiveReader, state: Path, hours: int) -> tuple[LiveStatus | None, Shift | None]:
    status: LiveStatus | None = None
    shift: Shift | None = None
    try:
        status = reader.status()
    except NotRunningError as error:
        missing = error
    now = time.time_ns()
    try:
        shift = RecordQuery(state / FOLDER / FILE).shift(now - hours * HOUR_NS, now + 1)
    except RecordsError:
        if status is None:
            raise missing from None
    return status, shift


def _print(status: LiveStatus | None, shift: Shift | None) -> None:
    record = {
        "running": status.model_dump(mode="json") if status is not None else None,
        "records": shift.to_record() if shift is not None else None,
    }
    print(json.dumps(record), flush=True)


def table(status: LiveStatus | None, shift: Shift | None) -> Table:
    """For people."""
    shown = Table("", "", "", show_header=False, box=None)
    for row in [*(_running(status) if status is not None else [("state", "not running", "")]), *_recorded(shift)]:
        shown.add_row(*map(cell, row))
    return shown


def _running(status: LiveStatus) -> list[Row]:
    product = status.product
    seconds = (status.wall_ns - status.started_wall_ns) / 1e9
    parts = sum(status.outcomes.values())
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(status.started_wall_ns / 1e9))
    rows: list[Row] = [("state", status.state, "SHADOW: no line acts on verdicts" if status.shadow else "")]
    rows += [("fault", what, reason) for what, reason in status.faults.items()]
    rows += [("weakness", what, reason) for what, reason in status.weaknesses.items()]
    rows += [("line", status.lines, "")] if status.lines else []
    rows += [
        ("model", f"{product.model_id} {product.precision}", product.runtime),
        ("calibration", str(product.calibration_serial), f"threshold {product.threshold:.4g}; {product.promise}"),
        ("camera", status.camera, ""),
        ("since", since, f"{parts} parts, {parts / seconds * 60 if seconds > 0 else 0:.1f} a minute"),
    ]
    rows += [("recipe", product.recipe, "")] if product.recipe else []
    rows += [(f"verdict {name}", str(count), _share(count, parts)) for name, count in status.outcomes.items()]
    rows += [(f"trigger {name}", str(count), "") for name, count in status.triggers.items()]
    rows += [(f"time of {stage}", *_times(times)) for stage, times in status.stages.items()]
    rows += [("temperature", f"{heat:.1f} °C", zone) for zone, heat in status.temperatures.items()]
    rows += [("drift", status.drift, "")] if status.drift else []
    rows += [
        (f"{name} of late", f"{late:.4g}", f"{then:.4g} at the calibration") for name, (late, then) in status.drift_figures.items()
    ]
    rows += [("lost", str(count), what) for what, count in status.lost.items() if count]
    return rows


def _recorded(shift: Shift | None) -> list[Row]:
    if shift is None:
        return []
    hours = (shift.until_ns - shift.since_ns) / HOUR_NS
    rows = [(f"last {hours:.0f} hours", f"{shift.parts} parts", "")]
    counts: list[tuple[str, Mapping[str, int]]] = [("verdict", shift.outcomes), ("action", shift.actions)]
    rows += [(f"  {kind} {name}", str(count), _share(count, shift.parts)) for kind, all_ in counts for name, count in all_.items()]
    return rows


def _times(times: StageTimes) -> tuple[str, str]:
    count = sum(times.counts)
    if not count:
        return "–", ""
    limits = ", ".join(f"p{100 * share:g} {_quantile(times, share)}" for share in (0.5, 0.99))
    return f"{times.total_ms / count:.2f} ms", f"mean; {limits}"


def _quantile(times: StageTimes, share: float) -> str:
    """The bin in which it lies."""
    left = share * sum(times.counts)
    for bound, count in zip(STAGE_BOUNDS_MS, times.counts, strict=False):
        left -= count
        if left <= 0:
            return f"≤ {bound:g} ms"
    return f"> {STAGE_BOUNDS_MS[-1]:g} ms"


def _share(count: int, of: int) -> str:
    return f"{count / of:.1%}" if of else ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("edge-inspect stats", description=__doc__)
    add_bundle_flags(parser)
    parser.add_argument("--hours", metavar="H", type=whole_number(1, 8760), default=8, help="of the records (default: %(default)s)")
    parser.add_argument("--watch", action="store_true", help="twice a second, until interrupted")
    parser.add_argument("--json", action="store_true", help="a JSON object on stdout; one a line with --watch")
    return parser


if __name__ == "__main__":
    sys.exit(main())
