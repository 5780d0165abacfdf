"""From the station file to the line: what drives it, with triggers or without, and what feeds the inspection."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from edge.cameras.lasting_camera import LastingCamera
from edge.clock import Clock
from edge.frame import Image
from edge.gpio.base import OutputLine
from edge.gpio.open_line import open_inputs
from edge.line.arm import Arm
from edge.line.confirm_watch import SENSOR, ConfirmWatch
from edge.line.line_stop import LineStop
from edge.line.output_lines import OutputLines
from edge.line.part_feed import FreeFeed, PartFeed, TriggeredFeed
from edge.line.part_line import FreeLine, PartLine, TrackedLine
from edge.line.part_tracker import Part, PartTracker
from edge.line.reject_gate import RejectGate
from edge.line.reject_line import RejectLine
from edge.line.strobe import Strobe
from edge.line.trigger_watch import Conveyor, TriggerWatch
from edge.records.part_records import PartRecords
from edge.station_config import StationConfig
from edge.triggers.open_trigger import open_trigger

LEAST_DEBOUNCE_MS = 1.0
Prepare = Callable[[Image], Image]


@dataclass
class Line:
    """The line of one station. ``feed`` makes its parts; ``leave`` waits until those in flight have left the arm."""

    parts: PartLine
    reject: RejectLine
    feed: Callable[[LastingCamera, Prepare], PartFeed]
    start: Callable[[], None]
    leave: Callable[[threading.Event], None]
    trigger: TriggerWatch | None = None


def assemble(
    station: StationConfig,
    outputs: OutputLines | None,
    state: Path,
    records: PartRecords | None,
    first_part_id: int,
    failed: Callable[[str, str], None],
    stop_line: Callable[[str], None],
    clock: Clock,
    stack: ExitStack,
) -> Line:
    """Everything between a verdict and the machine; what needs closing is put on ``stack``.

    outputs: None where no line is driven. failed: gets the name of what no part can be judged without any more, and why; stop_line:
    why the line must stop. Raises LineOpenError and ConfigError.
    """
    output: OutputLine | None = outputs.take("reject") if outputs is not None and not station.shadow else None
    if station.trigger.kind == "free":
        gate = RejectGate(station.reject_pulse_ms, station.pass_valid_ms)
        reject = RejectLine(output, gate, clock, first=True)
        free = FreeLine(gate, reject)
        stack.callback(free.close)
        timeout = station.camera.read_timeout_ms
        return Line(
            free, reject, lambda camera, prepare: FreeFeed(camera, prepare, clock, timeout, first_part_id),
            start=lambda: None, leave=lambda _: None,
        )  # fmt: skip

    stopping = LineStop(station.line_stop.rejects_in_a_row, station.line_stop.failed_confirms)
    arm = Arm(records, stopping, stop_line)
    debounce_ms = max(LEAST_DEBOUNCE_MS, station.trigger.eye.debounce_ms if station.trigger.eye is not None else 0)
    tracker = PartTracker(station.timing.part_timing(station.reject_pulse_ms, debounce_ms), arm.left, first_part_id)
    reject = RejectLine(output, tracker, clock, first=True)
    tracked = TrackedLine(tracker, reject)
    stack.callback(tracked.close)
    backend = station.lines.backend
    if station.reject_confirm is not None and backend != "recording":  # nothing would ever leave a line that drives nothing
        wanted = {SENSOR: station.reject_confirm.edge == "begin"}
        sensor = open_inputs({SENSOR: station.reject_confirm.sensor}, backend, clock, only=wanted)
        arm.confirm = ConfirmWatch(
            sensor, station.reject_confirm, station.reject_pulse_ms, arm.confirmed,
            lambda why: failed("reject confirm", why), clock,
        )  # fmt: skip
        stack.callback(arm.confirm.close)
    strobe = Strobe(
        outputs.take("strobe") if outputs is not None else None, station.strobe.lead_ms, station.strobe.duration_ms, clock
    )
    stack.callback(strobe.close)

    def accepted(part: Part) -> None:
        strobe.fire(part.trigger_ns + round(station.strobe.lead_ms * 1e6))
        if records is not None:
            records.accepted(part)

    def missed(count: int) -> None:
        if not tracker.timing.idle_rejects:  # else the line takes out what nobody saw
            stop_line(f"{count} parts came without a trigger, and the line passes between parts: they may have gone on")

    trigger = open_trigger(station.trigger, backend, state, clock, Conveyor(tracked))
    assert trigger is not None
    watch = TriggerWatch(trigger, tracked, accepted, missed, lambda why: failed("trigger", why))
    stack.callback(watch.close)
    lead_ns = station.timing.lead_ns(station.camera.frames_per_second)
    within_ns = round(station.timing.exposure_within_ms * 1e6)
    still_ms = station.frame_health.still_ms
    frozen_ns = None if still_ms is None else round(still_ms * 1e6)

    def leave(stop: threading.Event) -> None:
        watch.close()
        until = clock.monotonic_ns() + tracker.timing.travel_limit + tracker.timing.delay
        while len(tracker) and clock.monotonic_ns() < until and not clock.wait(stop, 10_000_000):
            pass

    return Line(
        tracked, reject, lambda camera, prepare: TriggeredFeed(camera, prepare, clock, watch.parts, lead_ns, within_ns, frozen_ns),
        start=watch.start, leave=leave, trigger=watch,
    )  # fmt: skip
