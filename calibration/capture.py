"""Pictures for a calibration that brings none: from a camera, or from a recording of good parts."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from calibration.progress import JsonLines
from edge.capture.capture_gates import Skip
from edge.capture.capture_run import open_for_capture, take_pictures
from edge.capture.capture_session import CaptureSession
from edge.capture.capture_status import CaptureStatus, summary
from edge.capture.frame_sharing import SOCKET
from edge.capture.part_trigger import part_or_interval
from edge.clock import SystemClock
from edge.errors import ConfigError
from edge.line.station_view import view_of
from edge.station_config import StationConfig
from edge.supervision.stop_signals import StopSignals

CAPTURES = "captures"


def normal_images_folder(
    options: argparse.Namespace, station: StationConfig, state: Path, console: Console, lines: JsonLines | None = None
) -> Path:
    """``options.normal_dir``, or a new session in ``state``/captures where that is a recording or ``options.camera`` is given.

    Raises ConfigError where neither or both are named, and KeyboardInterrupt where the capture was stopped: what it took stays.
    """
    given: Path | None = options.normal_dir
    if (given is None) == (options.camera is None):
        raise ConfigError("expected a folder or recording of good parts, or --camera; give one of them")
    if given is not None and not given.is_file():
        return given
    source = str(options.camera if given is None else f"file://{given}")
    config = station.camera.model_copy(update={"source": source})
    clock = SystemClock()
    with StopSignals() as signals, ExitStack() as stack:
        camera, settings = open_for_capture(config, clock, state / SOCKET, not options.no_lock, signals.stop)
        with (
            camera,
            CaptureSession(
                state / CAPTURES, None, camera.name, view_of(station), settings, clock, same_below=options.same_below
            ) as session,
            CaptureStatus(console, options.frames) as status,
        ):
            trigger, how = part_or_interval(station, state, camera, options.every, clock, stack)
            if how:
                console.print(how, markup=False, highlight=False, soft_wrap=True)

            def show(session: CaptureSession, skip: Skip | None) -> None:
                status.show(session, skip)
                if lines is not None:
                    lines.captured(session, options.frames)

            take_pictures(session, camera, trigger, signals.stop, options.frames, config.read_timeout_ms, show)
        for line in summary(session):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        if signals.stop.is_set():
            raise KeyboardInterrupt
    return session.folder
