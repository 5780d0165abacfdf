"""edge-inspect: frames in, a verdict for each, the reject line driven."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from edge.cameras.open_camera import FORMS
from edge.clock import SystemClock
from edge.console.exit_code import reported
from edge.console.flags import add_engine_flags, whole_number
from edge.errors import ConfigError, OutputError
from edge.inspection import Inspection
from edge.line.trigger_cli import main as trigger_main
from edge.live.stats_cli import main as stats_main
from edge.page.page_config import host_and_port
from edge.records.audit_cli import main as audit_main
from edge.records.records_cli import main as records_main
from edge.records.replay_cli import replay
from edge.records.verdict_log import VerdictLog
from edge.station_config import StationConfig, load_station
from edge.storage.documented_yaml import documented_yaml
from edge.storage.locations import station_path
from edge.supervision.challenge_cli import main as challenge_main
from edge.supervision.release_cli import main as release_main
from edge.supervision.stop_signals import StopSignals

COMMANDS = {
    "records": records_main,
    "audit": audit_main,
    "trigger": trigger_main,
    "challenge": challenge_main,
    "release": release_main,
    "stats": stats_main,
}


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if given and given[0] in COMMANDS:
        return COMMANDS[given[0]](given[1:])
    options = _parser().parse_args(given)
    console = Console(stderr=True)
    with reported("edge-inspect", console) as outcome, StopSignals() as signals, ExitStack() as stack:
        if options.print_config:
            print(documented_yaml(_overridden(options)), end="")
        elif options.replay is not None:
            outcome.code = replay(options, console, signals.stop)
        else:
            log = _verdict_log(options.verdicts)
            if log is not None:
                stack.callback(log.close)
            outcome.code = Inspection(options, _station(options), console, signals.stop, SystemClock(), stack, log).run()
    return outcome.code


def _overridden(options: argparse.Namespace) -> StationConfig:
    station = load_station(station_path(options.station))
    if options.camera is not None:
        station = station.model_copy(update={"camera": station.camera.model_copy(update={"source": options.camera})})
    if options.gpio is not None:
        station = station.model_copy(update={"lines": station.lines.model_copy(update={"backend": options.gpio})})
    return station


def _station(options: argparse.Namespace) -> StationConfig:
    station = _overridden(options)
    if not options.dry_run and not station.shadow and station.lines.backend == "gpiod" and station.lines.reject is None:
        raise ConfigError(
            "no reject line is configured, so a bad part could not be stopped; name one under `lines: reject:` in the station "
            "file, or say --gpio recording (a stand-in that drives nothing) or --dry-run"
        )
    return station


def _verdict_log(wanted: str | None) -> VerdictLog | None:
    if sys.stdout is not None and (wanted == "-" or (wanted is None and not sys.stdout.isatty())):
        return VerdictLog(sys.stdout)
    if wanted is None or wanted == "-":
        return None
    try:
        # Not blocking: a pipe that nobody reads is refused at once instead of holding up the start.
        handle = os.open(wanted, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o644)
        os.set_blocking(handle, True)
        return VerdictLog(open(handle, "a", buffering=1, encoding="utf-8"), owned=True)
    except OSError as error:
        raise OutputError(f"--verdicts {wanted}: cannot write there: {error.strerror}; choose another file") from error


def _address(text: str) -> str:
    try:
        host_and_port(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("edge-inspect", description=__doc__, epilog=f"also: edge-inspect {' | '.join(COMMANDS)}")
    parser.add_argument("--camera", help=f"{FORMS}; overrides the station file")
    add_engine_flags(parser)
    parser.add_argument("--recipe", metavar="NAME", help="the product to begin with, in place of --bundle and --precision")
    parser.add_argument(
        "--recipes", type=Path, metavar="FILE", help="default: EDGE_INSPECT_RECIPES, /etc/edge-inspect/recipes.yaml where it exists"
    )
    parser.add_argument("--gpio", choices=("gpiod", "recording"), help="overrides `lines: backend:`; recording drives nothing")
    parser.add_argument(
        "--verdicts", metavar="FILE", help="append JSON lines here, - for stdout; default: stdout unless it is a terminal"
    )
    parser.add_argument("--record", type=Path, metavar="RUN", help="keep every picture and verdict in this new folder")
    parser.add_argument(
        "--replay", type=Path, metavar="RUN", help="inspect a recorded run again; exit code 1 where verdicts differ"
    )
    parser.add_argument(
        "--http", metavar="ADDRESS:PORT", type=_address, help="serve the operator page there; :8080 is for this machine only"
    )
    parser.add_argument("--max-frames", type=whole_number(1), help="stop after this many verdicts")
    parser.add_argument(
        "--print-config", action="store_true", help="print the station as it would be taken, every key explained, and end"
    )
    parser.add_argument("--dry-run", action="store_true", help="inspect and report, open and drive no line")
    parser.add_argument(
        "--wait-for-hardware", action="store_true", help="keep trying for camera, lines and calibration, outputs safe"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
