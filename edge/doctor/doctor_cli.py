"""edge-doctor: is everything there that edge-inspect needs on this machine, and what to do where it is not."""

from __future__ import annotations

import argparse
import json
import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge.clock import SystemClock
from edge.console.exit_code import reported
from edge.console.flags import add_bundle_flags, add_station_flag
from edge.doctor.camera import check_camera
from edge.doctor.engine import check_engine
from edge.doctor.finding import Finding, Findings, Status
from edge.doctor.lines import check_lines, check_loopback
from edge.doctor.machine import check_machine
from edge.doctor.model import check_bundle, check_slot
from edge.doctor.software import check_software
from edge.errors import EXIT_FAILED, EXIT_OK, ConfigError
from edge.line.station_view import view_of
from edge.station_config import StationConfig, load_station
from edge.storage.locations import bundle_path, state_path, station_path

STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILED: "bold red"}
FILE_WIDTH = 160
"""Columns of a table that goes into a file or a pipe."""
PARTS = ("station", "software", "bundle", "calibration", "engine", "camera", "lines", "machine")


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code: 1 where a check failed."""
    options = _parser().parse_args(arguments)
    with reported("edge-doctor", Console(stderr=True)) as outcome:
        findings = Findings()
        _examine(options, findings)
        if options.json:
            print(json.dumps([_record(one) for one in findings.all]))
        else:
            _show(findings)
        outcome.code = EXIT_FAILED if findings.bad else EXIT_OK
    return outcome.code


def _examine(options: argparse.Namespace, findings: Findings) -> None:
    clock, parts = SystemClock(), _parts(options.only)
    path = bundle_path(options.bundle)
    state = state_path(options.state, path)
    station = _station(options, findings)
    if "software" in parts:
        check_software(findings)
    bundle = check_bundle(path, findings) if {"bundle", "calibration", "engine"} & parts else None
    slot = None
    if station is not None and bundle is not None and "calibration" in parts:
        slot = check_slot(bundle, state, station, clock, findings)
    # Without a calibration it has been said what is missing; the engine is looked at all the same.
    if bundle is not None and "engine" in parts:
        check_engine(bundle, slot, state, station, clock, findings)
    if station is not None and "camera" in parts:
        check_camera(station, slot, state, clock, findings)
    if station is not None and "lines" in parts:
        check_lines(station, findings)
        for pair in options.loopback:
            check_loopback(pair, station, clock, findings)
    if "machine" in parts:
        check_machine(state, findings)


def _parts(only: str | None) -> set[str]:
    wanted = set(PARTS) if only is None else {one.strip() for one in only.split(",")}
    if unknown := sorted(wanted - set(PARTS)):
        raise ConfigError(f"--only {only!r}: expected names by commas of {', '.join(PARTS)}, got {unknown[0]!r}; correct it")
    return wanted


def _station(options: argparse.Namespace, findings: Findings) -> StationConfig | None:
    with findings.of("station"):
        path = station_path(options.station)
        station = load_station(path)
        view_of(station)  # the mask can be read
        if options.camera is not None:
            station = station.model_copy(update={"camera": station.camera.model_copy(update={"source": options.camera})})
        if path is None:
            findings.warning(
                "station", "there is no station file, so the defaults: no lines", "write one, see the README; or --station"
            )
        else:
            findings.ok("station", f"{path}: trigger {station.trigger.kind}")
        return station
    return None


def _show(findings: Findings) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=FILE_WIDTH)
    table = Table("", "check", "found", "what to do", box=None)
    for one in findings.all:
        table.add_row(Text(one.status.value, STYLES[one.status]), *(Text(cell) for cell in (one.check, one.found, one.remedy)))
    console.print(table)
    counts = {status: sum(one.status is status for one in findings.all) for status in Status}
    console.print(", ".join(f"{count} {status.value}" for status, count in counts.items()), highlight=False)


def _record(one: Finding) -> dict[str, str]:
    return {"check": one.check, "status": one.status.value, "found": one.found, "remedy": one.remedy}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("edge-doctor", description=__doc__)
    add_bundle_flags(parser)
    add_station_flag(parser)
    parser.add_argument("--camera", help="overrides the station file")
    parser.add_argument(
        "--loopback", action="append", default=[], metavar="OUT:IN",
        help="drive output OUT and see whether input IN follows; names of the station's lines, or BOARD_7. The machine sees it",
    )  # fmt: skip
    parser.add_argument("--only", metavar="PARTS", help=f"by commas, of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--json", action="store_true", help="a list of findings, for programs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
