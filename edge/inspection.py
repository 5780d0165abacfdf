"""edge-inspect's run, from the options to the last words: everything opened in the order that keeps the line safe."""

from __future__ import annotations

import argparse
import gc
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from rich.console import Console

from edge.announcer import Announcer
from edge.bundle import open_bundle
from edge.calibration_slot import CalibrationSlot, SlotStore
from edge.cameras.base import Camera
from edge.cameras.lasting_camera import LastingCamera
from edge.cameras.open_camera import open_calibrated_camera
from edge.challenge import Challenge
from edge.challenge_announcement import ChallengeAnnouncement
from edge.clock import Clock
from edge.drift_watch import DriftEvent, DriftWatch
from edge.engines.base import Inference
from edge.engines.build_observer import ConsoleObserver
from edge.engines.next_precision import open_or_next
from edge.engines.open_engine import open_chosen_engine
from edge.errors import (
    EXIT_FAILED,
    EXIT_OK,
    BuildStoppedError,
    CameraOpenError,
    LineOpenError,
    NotCalibratedError,
    OutputError,
)
from edge.frame_health import FrameHealth
from edge.frame_server import FrameSharing
from edge.frame_sharing import SOCKET
from edge.guarded_line import GuardedLine
from edge.health_watch import HealthWatch
from edge.heartbeat_line import HeartbeatLine
from edge.inspection_loop import InspectionLoop
from edge.keeping import Keeping
from edge.line_assembly import Line, assemble
from edge.line_states import LineStates, Transition
from edge.locations import bundle_path, state_path
from edge.output_lines import OutputLines
from edge.part_feed import AheadFeed, Seen
from edge.restart_budget import RestartBudget
from edge.run_recorder import RunRecorder
from edge.service_manager import ServiceManager
from edge.shadow import WORDS as SHADOW_WORDS
from edge.shadow import without_acting_lines
from edge.slot_watcher import SlotWatcher
from edge.state_outputs import StateOutputs
from edge.station_config import StationConfig
from edge.station_view import CurrentView, station_view
from edge.status_line import StatusLine
from edge.supervisor import Supervisor
from edge.verdict import Outcome, Verdict
from edge.verdict_log import VerdictLog
from edge.watchdog import Watchdog

RETRY_NS = 1_000_000_000
HEARTBEAT_MS = 200
"""Period of the heartbeat line."""
CYCLE_SPARE_MS = 3000
"""How much longer than the longest wait for a picture a cycle may take, before the program is taken to hang."""
START_SPARE_S = 60
"""A start that waits for hardware asks the service manager for so much more time, again and again."""
Opened = TypeVar("Opened")


class _StoppedWaitingError(Exception):
    """Told to stop while waiting for hardware."""


@dataclass
class Inspection:
    """What a run has at hand from its first line on."""

    options: argparse.Namespace
    station: StationConfig
    console: Console
    stop: threading.Event
    clock: Clock
    stack: ExitStack
    log: VerdictLog | None
    manager: ServiceManager = field(default_factory=ServiceManager)

    def say(self, text: str, style: str = "") -> None:
        """One line for people."""
        self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def opened(self, attempt: Callable[[], Opened]) -> Opened:
        """``attempt``, again and again with --wait-for-hardware while what it needs is not there yet; outputs stay safe."""
        told = ""
        while True:
            try:
                return attempt()
            except (CameraOpenError, LineOpenError, NotCalibratedError) as error:
                if not self.options.wait_for_hardware:
                    raise
                if str(error) != told:
                    told = str(error)
                    self.say(f"waiting: {told}", "yellow")
            self.manager.extend_start(START_SPARE_S)
            if self.clock.wait(self.stop, RETRY_NS):
                raise _StoppedWaitingError

    def run(self) -> int:
        """Inspect until told to stop; the exit code."""
        try:
            return self._run()
        except (_StoppedWaitingError, BuildStoppedError):
            self.say("stopped while waiting; lines are safe")
            return 0

    def _run(self) -> int:
        options, clock, stack = self.options, self.clock, self.stack
        station = without_acting_lines(self.station)
        manager = self.manager
        stack.callback(manager.close)
        # The lines come first, so that they are safe while everything else is still being opened.
        outputs: OutputLines | None = None
        if not options.dry_run:
            outputs = stack.enter_context(self.opened(lambda: OutputLines(station.lines, clock)))

        bundle = open_bundle(bundle_path(options.bundle))
        view = station_view(station, bundle.manifest.graph)
        state = state_path(options.state, bundle.path)
        store = SlotStore(state, bundle)
        budget = RestartBudget(state / "starts.json") if "INVOCATION_ID" in os.environ else None
        refused = _begun(budget)
        building = ConsoleObserver(self.console, self.stop)
        engine, precision, spare = open_or_next(
            bundle, options.precision, lambda one: open_chosen_engine(bundle, options, one, building),
            lambda one: store.calibrated_for(one, view.view), building.say,
        )  # fmt: skip
        stack.enter_context(engine)
        slot = spare or self.opened(lambda: store.current(precision, engine.runtime, view.view))
        engine.bind(slot.tensors)
        slot.self_test(engine)

        settings, shared = slot.record.camera_settings, state / SOCKET
        sharing = FrameSharing(shared, clock, settings, lambda text: self.say(text, "yellow"))
        stack.callback(sharing.close)

        def open_source() -> Camera:
            return sharing.shared(open_calibrated_camera(station.camera, clock, settings, shared))

        camera = LastingCamera(self.opened(open_source), open_source, clock)
        stack.callback(camera.close)
        status = stack.enter_context(StatusLine(self.console))
        announcer = stack.enter_context(Announcer(lambda text: self.say(text, "yellow")))

        kept = Keeping(station, state, not options.dry_run, self.log, clock, announcer.add)
        stack.callback(kept.close)
        if kept.records is not None and kept.records.recovered:
            self.say(f"{kept.records.recovered} parts were in flight when the last run ended: their action is unknown", "yellow")
        if options.record is not None:
            kept.recorder = RunRecorder(
                options.record, bundle, precision, engine.runtime, station, camera.name, clock, announcer.add
            )

        def changed(change: Transition) -> None:
            kept.audit("state", **change.record())
            manager.status(f"{change.after.value}: {change.reason}" if change.reason else change.after.value)
            if change.reason:
                announcer.add(f"{change.before.value} → {change.after.value}: {change.reason}")

        lamps = StateOutputs(outputs, station.shadow, changed)
        states = LineStates(lamps, clock)

        def stop_line(reason: str) -> None:
            lamps.stop_line()
            states.fail("line stop", f"{reason}; look for it, then start edge-inspect anew")

        line = self.opened(
            lambda: assemble(station, outputs, state, kept.records, kept.first_part_id, states.fail, stop_line, clock, stack)
        )
        challenge = Challenge(station.challenge)
        announcement = ChallengeAnnouncement(state)
        guarded = GuardedLine(line.parts, states, lamps, challenge, clock)

        longest_ms = max(station.camera.read_timeout_ms, station.timing.deadline_ms) + CYCLE_SPARE_MS
        heartbeat = HeartbeatLine(outputs.take("heartbeat") if outputs is not None else None, HEARTBEAT_MS, longest_ms, clock)
        stack.callback(heartbeat.close)

        def late(reason: str) -> None:
            states.fail("watchdog", reason)
            guarded.fault_all(reason)

        watchdog = Watchdog(longest_ms * 1_000_000, late, lambda: states.clear("watchdog"), manager, clock)

        def beat() -> None:
            heartbeat.beat()
            watchdog.beat()

        self.say(f"model {bundle.manifest.model_id} {precision} on {engine.runtime}, camera {camera.name}")
        if engine.degraded:
            states.weaken("precision", engine.degraded)
            self.say(f"NOT AS ASKED: {engine.degraded}", "bold yellow")
        self.say(f"calibration {slot.record.serial}: {slot.describe()}")
        self.say(self._lines_in_words(outputs), "" if station.lines.backend == "gpiod" and not station.shadow else "bold yellow")
        if refused:
            self.say(refused, "bold red")
            states.fail("starts", refused)

        def report(verdict: Verdict, seen: Seen, inference: Inference | None) -> None:
            kept.verdict(verdict, seen, inference, loop.slot, precision, final=line.trigger is None)
            drift.add(verdict, loop.slot.record)
            status.show(verdict, drift.short)

        def tell(text: str, bad: bool) -> None:
            self.say(f"edge-inspect: {text}" if bad else text, "yellow" if bad else "")
            kept.audit("calibration", text=text, refused=bad)

        def tell_drift(event: DriftEvent) -> None:
            kept.drifted(event)
            announcer.add(f"drift: {event.message}")

        def frame_health(for_slot: CalibrationSlot) -> FrameHealth:
            return FrameHealth(station.frame_health, for_slot.record.baseline, for_slot.pictures, camera.live)

        def also() -> None:
            if announcement.came():
                challenge.announce(clock.monotonic_ns())
                announcer.add("the next part is the challenge part")
            if heartbeat.failure is not None:
                states.weaken("heartbeat", str(heartbeat.failure))

        drift = DriftWatch(station.drift, tell_drift)
        slots = stack.enter_context(SlotWatcher(store, precision, engine.runtime, view.view, slot, tell, clock))
        current = CurrentView(view)
        feed = AheadFeed(line.feed(camera, current.preprocess), self.stop)
        stack.callback(feed.close)
        loop = InspectionLoop(
            feed, engine, slot, current, guarded, clock, station.camera.max_age_ms, report, slots,
            Supervisor(states, challenge, beat, clock), frame_health, station.shadow,
        )  # fmt: skip
        kept.audit(
            "start",
            model=bundle.manifest.model_id,
            precision=precision,
            runtime=engine.runtime,
            station_sha256=kept.station_sha256(),
        )
        stack.enter_context(HealthWatch(states, guarded.fault_all, announcer.add, kept.weaknesses, also, clock))
        stack.enter_context(watchdog)
        # Once more, so that on the way out they come first: a camera, an engine or a stuck log may take seconds to close.
        stack.callback(guarded.close)
        stack.callback(states.stop)
        states.opened()
        manager.ready()
        line.start()
        gc.collect()
        gc.freeze()  # what was made so far stays; a collection looks only at what parts leave behind
        try:
            loop.run(self.stop, options.max_frames)
            line.leave(self.stop)
        finally:
            manager.stopping()
            kept.audit("stop", parts=loop.counts.total())
        stack.close()  # lines safe, log written, before the last words
        _ended(budget)
        return self._last_words(loop, line)

    def _lines_in_words(self, outputs: OutputLines | None) -> str:
        if outputs is None:
            return "DRY RUN: no line is driven, and nothing is kept but the verdicts"
        if self.station.shadow:
            return SHADOW_WORDS
        if self.station.lines.backend == "recording":
            return "RECORDING GPIO: a stand-in; no line is driven, bad parts are not stopped"
        return "lines: " + ", ".join(outputs.names())

    def _last_words(self, loop: InspectionLoop, line: Line) -> int:
        counts = ", ".join(f"{loop.counts[outcome]} {outcome.value}" for outcome in Outcome)
        what = "frames" if line.trigger is None else "parts"
        self.say(f"{loop.counts.total()} {what}: {counts}; lines are safe")
        if line.trigger is not None:
            triggers = ", ".join(f"{count} {what}" for what, count in line.trigger.counts.items())
            how = "with" if line.reject.comes_first else "without"
            self.say(f"triggers: {triggers or 'none'}; {line.reject.schedule_error.describe()}, {how} real-time priority")
        log = self.log
        if log is not None and (log.failure is not None or log.dropped):
            self.say(f"edge-inspect: {log.dropped} verdicts were not written ({log.failure or 'the log was too slow'})", "red")
            return EXIT_FAILED
        return EXIT_OK


def _begun(budget: RestartBudget | None) -> str:
    try:
        return budget.begin() if budget is not None else ""
    except OutputError:  # a full disk is no reason to stop a line
        return ""


def _ended(budget: RestartBudget | None) -> None:
    with suppress(OutputError):
        if budget is not None:
            budget.ended()
