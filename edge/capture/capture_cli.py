"""edge-capture: pictures of good parts into a folder, for training and calibration."""

from __future__ import annotations

import argparse
import math
import sys
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from edge.cameras.open_camera import FORMS
from edge.capture.capture_run import open_for_capture, take_pictures
from edge.capture.capture_session import CaptureSession
from edge.capture.capture_status import CaptureStatus, summary
from edge.capture.capture_trigger import CaptureTrigger, KeyTrigger
from edge.capture.frame_sharing import SOCKET
from edge.capture.near_duplicates import SAME_BELOW
from edge.capture.part_trigger import EVERY_S, part_or_interval
from edge.clock import SystemClock
from edge.console.exit_code import reported
from edge.console.flags import whole_number
from edge.errors import EXIT_FAILED, EXIT_OK, ConfigError
from edge.line.station_view import view_of
from edge.station_config import load_station
from edge.storage.locations import bundle_path, state_path, station_path
from edge.supervision.stop_signals import StopSignals


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    with reported("edge-capture", console) as outcome:
        outcome.code = capture(options, console)
    return outcome.code


def capture(options: argparse.Namespace, console: Console) -> int:
    """Take pictures as ``options`` say; returns the exit code."""

    def say(text: str, style: str = "") -> None:
        console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    if options.append and options.session is None:
        raise ConfigError("--append: say which session to continue with --session NAME")
    clock = SystemClock()
    station = load_station(station_path(options.station))
    config = station.camera if options.camera is None else station.camera.model_copy(update={"source": options.camera})
    state = state_path(options.state, bundle_path(options.bundle))
    with StopSignals() as signals, ExitStack() as stack:
        camera, settings = open_for_capture(config, clock, state / SOCKET, not options.no_lock, signals.stop)
        with (
            camera,
            CaptureSession(
                options.out, options.session, camera.name, view_of(station), settings, clock, options.append, options.same_below
            ) as session,
        ):
            if camera.live:
                held = f"exposure held: {settings.describe()}" if settings is not None else "exposure NOT held"
                say(f"camera {camera.name}, {held}", "" if settings is not None else "yellow")
            trigger: CaptureTrigger = KeyTrigger()
            how = "Enter takes a picture, Ctrl-D ends"
            if not options.key:
                trigger, how = part_or_interval(station, state, camera, options.every, clock, stack)
            if how:
                say(how)
            with CaptureStatus(console, options.frames) as status:
                take_pictures(session, camera, trigger, signals.stop, options.frames, config.read_timeout_ms, status.show)
    for line in summary(session):
        say(line)
    return EXIT_OK if session.kept else EXIT_FAILED


def add_capture_flags(parser: argparse._ActionsContainer, frames: int | None) -> None:
    """``camera``, ``frames``, ``every``, ``no_lock``, ``same_below``: for every command that takes pictures."""
    parser.add_argument("--camera", help=FORMS)
    default = "until Ctrl-C" if frames is None else "%(default)s"
    parser.add_argument(
        "--frames", type=whole_number(1), default=frames, help=f"stop after this many were kept (default: {default})"
    )
    parser.add_argument(
        "--every",
        type=_seconds,
        metavar="SECONDS",
        help=f"from one picture to the next; default: one for each part where the station has a trigger, else {EVERY_S}",
    )
    parser.add_argument("--no-lock", action="store_true", help="do not hold exposure, gain and white balance; not for calibration")
    parser.add_argument(
        "--same-below",
        type=_grey_levels,
        default=SAME_BELOW,
        metavar="GREY",
        help="a picture that differs from a kept one by less is the same part, counted once; 0 keeps all (default: %(default)s)",
    )


def _seconds(text: str) -> float:
    return _number(text, 3600, "seconds")


def _grey_levels(text: str) -> float:
    return _number(text, 255, "grey levels")


def _number(text: str, most: float, unit: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= most:
        raise argparse.ArgumentTypeError(f"expected {unit} from 0 to {most:g}, got {text!r}")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("edge-capture", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of sessions; a new one is made in it")
    add_capture_flags(parser, None)
    parser.add_argument("--key", action="store_true", help="a picture for each Enter instead of --every")
    parser.add_argument("--session", metavar="NAME", help="name of the session's folder (default: the time, UTC)")
    parser.add_argument("--append", action="store_true", help="continue the session that exists")
    parser.add_argument("--station", type=Path, help="station file; default: EDGE_INSPECT_STATION, /etc/edge-inspect/station.yaml")
    parser.add_argument("--bundle", type=Path, help="for --camera inspect: the bundle that is inspected with")
    parser.add_argument("--state", type=Path, help="for --camera inspect: where that edge-inspect keeps its state")
    return parser


if __name__ == "__main__":
    sys.exit(main())
