"""edge-inspect: frames in, a verdict for each, the reject line driven."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeVar

from rich.console import Console

from edge.announcer import Announcer
from edge.bundle import open_bundle
from edge.calibration_slot import SlotStore
from edge.cameras.base import Camera
from edge.cameras.lasting_camera import LastingCamera
from edge.cameras.open_camera import FORMS, open_calibrated_camera
from edge.clock import Clock, SystemClock
from edge.drift_watch import DriftEvent, DriftWatch
from edge.engines.base import Inference
from edge.engines.build_observer import ConsoleObserver
from edge.engines.next_precision import open_or_next
from edge.engines.open_engine import open_chosen_engine
from edge.errors import (
    EXIT_FAILED,
    BuildStoppedError,
    CameraOpenError,
    ConfigError,
    LineOpenError,
    NotCalibratedError,
    OutputError,
)
from edge.exit_code import reported
from edge.flags import add_engine_flags, whole_number
from edge.frame_server import FrameSharing
from edge.frame_sharing import SOCKET
from edge.gpio.base import OutputLine
from edge.gpio.open_line import open_line
from edge.inspection_loop import InspectionLoop
from edge.locations import bundle_path, state_path, station_path
from edge.part_feed import AheadFeed, FreeFeed, Seen
from edge.part_line import FreeLine
from edge.reject_gate import RejectGate
from edge.reject_line import RejectLine
from edge.slot_watcher import SlotWatcher
from edge.station_config import StationConfig, load_station
from edge.station_view import CurrentView, station_view
from edge.status_line import StatusLine
from edge.stop_signals import StopSignals
from edge.verdict import Outcome, Verdict
from edge.verdict_log import VerdictLog

RETRY_NS = 1_000_000_000
Opened = TypeVar("Opened")


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    with reported("edge-inspect", console) as outcome, StopSignals() as signals, ExitStack() as stack:
        outcome.code = _inspect(options, console, signals.stop, SystemClock(), stack)
    return outcome.code


def _inspect(options: argparse.Namespace, console: Console, stop: threading.Event, clock: Clock, stack: ExitStack) -> int:
    def say(text: str, style: str = "") -> None:
        console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def opened(attempt: Callable[[], Opened]) -> Opened:
        """``attempt``, again and again with --wait-for-hardware while what it needs is not there yet; outputs stay safe."""
        told = ""
        while True:
            try:
                return attempt()
            except (CameraOpenError, LineOpenError, NotCalibratedError) as error:
                if not options.wait_for_hardware:
                    raise
                if str(error) != told:
                    told = str(error)
                    say(f"waiting: {told}", "yellow")
            if clock.wait(stop, RETRY_NS):
                raise _StoppedWaitingError

    station = _station(options)
    try:
        # The lines come first, so that they are safe while everything else is still being opened.
        reject_line, ready_line = opened(lambda: _open_lines(station, options.dry_run, clock))
        gate = RejectGate(station.reject_pulse_ms, station.pass_valid_ms)
        line = FreeLine(gate, RejectLine(reject_line, gate, clock))
        stack.callback(line.close)
        if ready_line is not None:
            stack.callback(ready_line.close)

        bundle = open_bundle(bundle_path(options.bundle))
        view = station_view(station, bundle.manifest.graph)
        state = state_path(options.state, bundle.path)
        store = SlotStore(state, bundle)
        building = ConsoleObserver(console, stop)
        engine, precision, spare = open_or_next(
            bundle, options.precision, lambda one: open_chosen_engine(bundle, options, one, building),
            lambda one: store.calibrated_for(one, view.view), building.say,
        )  # fmt: skip
        stack.enter_context(engine)
        slot = spare or opened(lambda: store.current(precision, engine.runtime, view.view))
        engine.bind(slot.tensors)
        slot.self_test(engine)

        settings, shared = slot.record.camera_settings, state / SOCKET
        sharing = FrameSharing(shared, clock, settings, lambda text: say(text, "yellow"))
        stack.callback(sharing.close)

        def open_source() -> Camera:
            return sharing.shared(open_calibrated_camera(station.camera, clock, settings, shared))

        camera = opened(open_source)
        stack.callback(camera.close)
    except (_StoppedWaitingError, BuildStoppedError):
        say("stopped while waiting; lines are safe")
        return 0

    say(f"model {bundle.manifest.model_id} {precision} on {engine.runtime}, camera {camera.name}")
    if engine.degraded:
        say(f"NOT AS ASKED: {engine.degraded}", "bold yellow")
    say(f"calibration {slot.record.serial}: {slot.describe()}")
    say(
        _lines_in_words(station, options.dry_run, reject_line, ready_line),
        "" if station.lines.backend == "gpiod" else "bold yellow",
    )

    log = _verdict_log(options.verdicts)
    if log is not None:
        stack.callback(log.close)
    status = stack.enter_context(StatusLine(console))
    announcer = stack.enter_context(Announcer(lambda text: say(text, "yellow")))

    def report(verdict: Verdict, _seen: Seen, _inference: Inference | None) -> None:
        if log is not None:
            log.add(verdict)
        drift.add(verdict, loop.slot.record)
        status.show(verdict, drift.short)

    def tell(text: str, bad: bool) -> None:
        say(f"edge-inspect: {text}" if bad else text, "yellow" if bad else "")

    def tell_drift(event: DriftEvent) -> None:
        if log is not None:
            log.add(event)
        announcer.add(f"drift: {event.message}")

    drift = DriftWatch(station.drift, tell_drift)
    slots = stack.enter_context(SlotWatcher(store, precision, engine.runtime, view.view, slot, tell, clock))
    current = CurrentView(view)
    feed = FreeFeed(LastingCamera(camera, open_source, clock), current.preprocess, clock, station.camera.read_timeout_ms)
    ahead = AheadFeed(feed, stop)
    stack.callback(ahead.close)
    loop = InspectionLoop(ahead, engine, slot, current, line, clock, station.camera.max_age_ms, report, slots)
    # Once more, so that on the way out they come first: a camera, an engine or a stuck log may take seconds to close.
    stack.callback(line.close)
    if ready_line is not None:
        stack.callback(ready_line.close)
        ready_line.set(True)
    loop.run(stop, options.max_frames)
    stack.close()  # lines safe, log written, before the last words
    counts = ", ".join(f"{loop.counts[outcome]} {outcome.value}" for outcome in Outcome)
    say(f"{loop.counts.total()} frames: {counts}; lines are safe")
    if log is not None and (log.failure is not None or log.dropped):
        say(f"edge-inspect: {log.dropped} verdicts were not written ({log.failure or 'the log was too slow'})", "red")
        return EXIT_FAILED
    return 0


class _StoppedWaitingError(Exception):
    """Told to stop while waiting for hardware."""


def _station(options: argparse.Namespace) -> StationConfig:
    station = load_station(station_path(options.station))
    if options.camera is not None:
        station = station.model_copy(update={"camera": station.camera.model_copy(update={"source": options.camera})})
    if options.gpio is not None:
        station = station.model_copy(update={"lines": station.lines.model_copy(update={"backend": options.gpio})})
    if not options.dry_run and station.lines.backend == "gpiod" and station.lines.reject is None:
        raise ConfigError(
            "no reject line is configured, so a bad part could not be stopped; name one under `lines: reject:` in the station "
            "file, or say --gpio recording (a stand-in that drives nothing) or --dry-run"
        )
    return station


def _open_lines(station: StationConfig, dry_run: bool, clock: Clock) -> tuple[OutputLine | None, OutputLine | None]:
    if dry_run:
        return None, None
    lines = station.lines
    reject = open_line("reject", lines.reject, True, lines.backend, clock)
    try:
        return reject, open_line("ready", lines.ready, False, lines.backend, clock)
    except LineOpenError:
        if reject is not None:
            reject.close()
        raise


def _lines_in_words(station: StationConfig, dry_run: bool, reject: OutputLine | None, ready: OutputLine | None) -> str:
    if dry_run:
        return "DRY RUN: no line is driven"
    if station.lines.backend == "recording":
        return "RECORDING GPIO: a stand-in; no line is driven, bad parts are not stopped"
    return "lines: " + ", ".join(line.name for line in (reject, ready) if line is not None)


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("edge-inspect", description=__doc__)
    parser.add_argument("--camera", help=f"{FORMS}; overrides the station file")
    add_engine_flags(parser)
    parser.add_argument("--gpio", choices=("gpiod", "recording"), help="overrides `lines: backend:`; recording drives nothing")
    parser.add_argument(
        "--verdicts", metavar="FILE", help="append JSON lines here, - for stdout; default: stdout unless it is a terminal"
    )
    parser.add_argument("--max-frames", type=whole_number(1), help="stop after this many verdicts")
    parser.add_argument("--dry-run", action="store_true", help="inspect and report, open and drive no line")
    parser.add_argument(
        "--wait-for-hardware", action="store_true", help="keep trying for camera, lines and calibration, outputs safe"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
