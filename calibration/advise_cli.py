"""calibrate advise: the verdicts of edge-inspect in, whether to calibrate again out; words on stderr, one JSON line on stdout.

Exit code 0: no need, 4: calibrating again would help, 2: the input cannot be used.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from calibration.advise import Advice, advise
from calibration.drift_picture import drift_png
from calibration.errors import EXIT_RECALIBRATE
from calibration.verdict_lines import Logged, LoggedPart, read_logged
from edge.bundle import open_bundle
from edge.console.exit_code import reported
from edge.console.flags import add_bundle_flags, add_station_flag, whole_number
from edge.drift.drift_detector import SCORES
from edge.drift.drift_words import sentence
from edge.errors import EXIT_OK
from edge.slots.calibration_slot import SlotStore
from edge.slots.slot_record import SlotRecord
from edge.station_config import load_station
from edge.storage.durable_files import write_file
from edge.storage.locations import bundle_path, state_path, station_path
from edge.verdict import finite_or_none

NEWEST = 100_000
FINE = "no need to calibrate: the parts look as they did at the calibration"
LABELS = dict(zip(SCORES, ("L1", "L2", "L"), strict=True))


def main(arguments: list[str]) -> int:
    """Entry point; returns the exit code."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    with reported("calibrate advise", console) as outcome:
        outcome.code = _advise(options, console)
    return outcome.code


def _advise(options: argparse.Namespace, console: Console) -> int:
    bundle = open_bundle(bundle_path(options.bundle))
    station = load_station(station_path(options.station))
    logged = read_logged(options.verdicts, options.serial, options.newest)
    store = SlotStore(state_path(options.state, bundle.path), bundle)
    record = store.record(logged.serial)
    advice = advise(logged, record, station.drift.usual_reject_share)
    _print(console, advice, logged, record)
    if options.report is not None:
        title = f"{record.model_id} · calibration {record.serial} · {_time(advice.parts[0])} to {_time(advice.parts[-1])}"
        write_file(options.report, drift_png(advice, record, title))
    print(json.dumps(_json(advice, record), allow_nan=False))
    return EXIT_RECALIBRATE if advice.recalibrate else EXIT_OK


def _print(console: Console, advice: Advice, logged: Logged, record: SlotRecord) -> None:
    table = Table(show_header=False, box=None)
    parts = f"{len(advice.parts)} of calibration {record.serial}, {_time(advice.parts[0])} to {_time(advice.parts[-1])}"
    table.add_row("parts", parts)
    if logged.faults or logged.others or logged.unreadable:
        others = (
            f"{logged.faults} faults without scores, {logged.others} of other calibrations, {logged.unreadable} unreadable lines"
        )
        table.add_row("passed over", others)
    for mark in advice.marks:
        state = "" if advice.drift is not None and mark.drift.cause == advice.drift.cause else " (not any more)"
        table.add_row("drift", f"{mark.drift.cause.value}, from about {_time(advice.parts[mark.drift.since])}{state}")
    if advice.drift is not None:
        for name, (now, before) in advice.drift.moved.items():
            table.add_row(LABELS.get(name, name), f"{now:.4g} of late, {before:.4g} at the calibration")
    promise = record.promise
    table.add_row("rejected", f"{advice.rejected} of the last {advice.recent} parts, {advice.rejected / advice.recent:.2%}")
    table.add_row(
        "false rejects",
        f"if all of these were good, at most {advice.false_rejects_at_most:.2%}; promised at most {promise.false_reject_rate:.2%} "
        f"(both with {promise.confidence:.0%} confidence)",
    )
    if advice.recalibrate and advice.rederived_share is not None:
        table.add_row("new threshold", f"from every other of these parts, it rejects {advice.rederived_share:.2%} of the rest")
    drift = advice.drift
    table.add_row("advice", FINE if drift is None else sentence(drift, f"since about {_time(advice.parts[drift.since])}"))
    console.print(table, highlight=False, markup=False, soft_wrap=True)


def _json(advice: Advice, record: SlotRecord) -> object:
    drift = None if advice.drift is None else asdict(advice.drift) | {"cause": advice.drift.cause.value}
    return finite_or_none({
        "calibration_serial": record.serial,
        "parts": len(advice.parts),
        "drift": drift,
        "marks": [{"cause": mark.drift.cause.value, "since": mark.drift.since, "found": mark.found} for mark in advice.marks],
        "recent": advice.recent,
        "rejected": advice.rejected,
        "false_rejects_at_most": advice.false_rejects_at_most,
        "promised": record.promise.false_reject_rate,
        "rederived_share": advice.rederived_share,
        "recalibrate": advice.recalibrate,
    })  # fmt: skip


def _time(part: LoggedPart) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(part.wall_ns / 1e9))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("calibrate advise", description=__doc__)
    parser.add_argument("verdicts", type=Path, nargs="+", help="files of edge-inspect --verdicts, the oldest first")
    add_bundle_flags(parser)
    add_station_flag(parser)
    parser.add_argument("--serial", type=whole_number(1), help="calibration to look at; default: the one of the last verdict")
    parser.add_argument("--newest", type=whole_number(100), default=NEWEST, help="read only so many parts (default: %(default)s)")
    parser.add_argument("--report", type=Path, help="also write L and brightness over the parts to this PNG")
    return parser
