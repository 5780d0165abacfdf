"""The real stages of a line with triggers for many parts, with seeded faults: is each accounted for, and does none slip by?"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from edge.cameras.base import Camera
from edge.cameras.lasting_camera import LastingCamera
from edge.clock import SystemClock
from edge.engines.base import Engine, Inference
from edge.errors import ConfigError
from edge.frame import Image
from edge.gpio.recording import RecordingLine
from edge.inspection_loop import InspectionLoop
from edge.line.arm import Arm
from edge.line.guarded_line import GuardedLine
from edge.line.line_stop import LineStop
from edge.line.part_feed import AheadFeed, Seen, TriggeredFeed
from edge.line.part_line import TrackedLine
from edge.line.part_tracker import Finished, Part, PartTiming, PartTracker
from edge.line.reject_line import RejectLine
from edge.line.station_view import StationView
from edge.line.trigger_watch import TriggerWatch
from edge.pictures.frame_health import FrameHealth
from edge.products.product import CurrentProduct, Product
from edge.records.keeping import Keeping
from edge.records.records_config import ArchiveConfig
from edge.records.verdict_log import VerdictLog
from edge.slots.bound_slot import BoundSlot
from edge.slots.calibration_slot import CalibrationSlot
from edge.station_config import StationConfig
from edge.supervision.challenge import Challenge, ChallengeConfig
from edge.supervision.line_states import LineStates
from edge.supervision.state_outputs import StateOutputs
from edge.supervision.supervisor import Supervisor
from edge.verdict import Verdict
from tools.benchmark.peak_memory import resident_memory_mb
from tools.benchmark.soak_account import NONE, Account, Soak, quantiles_ms
from tools.benchmark.soak_scene import NotedFeed, NotedParts, Script, ScriptedCamera, ScriptedEngine, ScriptedTrigger

MS = 1_000_000
PULSE_MS, MOST_PULSE_MS = 4.0, 100.0
DEBOUNCE_MS = 1.0
LEAST_DEADLINE_MS = 40.0
TO_ARM_MS = 10.0
"""From the deadline to the window at the arm."""


def measure_soak(
    engine: Engine,
    slot: CalibrationSlot,
    view: StationView,
    parts: int,
    faults: bool,
    rate: float | None,
    seed: int,
    out: Path | None,
    console: Console,
    beside: Callable[[Path, int], AbstractContextManager[object]] | None = None,
) -> Soak:
    """``parts`` parts with ``engine``, which is bound to ``slot``. rate: triggers a second, None for as fast as the stages go.

    out: its disk takes the records, and in the end the report. beside: entered with the state folder and the first part's number
    before the first part comes, and left when the last is recorded.
    Raises ConfigError where the engine cannot tell good from bad here.
    """
    good, bad = _pictures(engine, slot)
    clock, stop = SystemClock(), threading.Event()
    timing = _timing(engine, good[0], rate)
    said: list[str] = []
    station = StationConfig(archive=ArchiveConfig(budget_mb=20))
    with ExitStack() as stack:
        state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-", dir=out)))
        log = VerdictLog((state / "verdicts.jsonl").open("w", encoding="ascii"), owned=True)
        kept = Keeping(station, state, True, log, clock, said.append)
        stack.callback(kept.close)
        stack.callback(log.close)
        records = kept.records
        assert records is not None
        if beside is not None:
            stack.enter_context(beside(state, kept.first_part_id))
        script = Script(parts, kept.first_part_id, faults, seed)
        account = Account(script, kept.first_part_id)
        arm = Arm(records, LineStop(None, 1), lambda why: said.append(f"the line would have been stopped: {why}"))

        def left(finished: Finished) -> None:
            account.left(finished)
            arm.left(finished)

        tracker = PartTracker(timing, left, kept.first_part_id)
        reject = RejectLine(RecordingLine("reject line (recording)", True, clock), tracker, clock, first=True)
        line = TrackedLine(tracker, reject)
        stack.callback(line.close)
        lamps = StateOutputs(None, False, lambda change: kept.audit("state", **change.record()))
        states = LineStates(lamps, clock)
        challenge = Challenge(ChallengeConfig())
        trigger = ScriptedTrigger(script, timing, rate, clock, stop.set)

        def accepted(part: Part) -> None:
            trigger.accepted(part)
            records.accepted(part)

        def failed(reason: str) -> None:
            said.append(f"the trigger failed: {reason}")
            stop.set()

        watch = TriggerWatch(trigger, line, accepted, lambda _: None, failed)
        watch.parts = waiting = NotedParts()
        stack.callback(watch.close)

        def camera() -> Camera:
            return ScriptedCamera(script, waiting, good, bad, clock)

        scripted = ScriptedEngine(engine, timing.deadline, clock)
        scripted.bind(slot.tensors)
        product = Product(
            BoundSlot(scripted, slot), view, slot.record.precision,
            new_health=lambda one: FrameHealth(station.frame_health, one.record.baseline, one.pictures, True),
        )  # fmt: skip
        current = CurrentProduct(product)
        feed = AheadFeed(
            TriggeredFeed(LastingCamera(camera(), camera, clock), current.preprocess, clock, waiting, 0, timing.deadline), stop
        )
        stack.callback(feed.close)
        memory: dict[str, float] = {}
        bars = stack.enter_context(Progress(console=console, transient=True))
        task = bars.add_task("parts", total=parts)

        def report(verdict: Verdict, seen: Seen, inference: Inference | None) -> None:
            kept.verdict(verdict, seen, inference, product, final=False)
            account.judged(verdict)
            if script.judged % 100 == 0:
                bars.update(task, completed=script.judged)
            if script.judged == max(1, parts // 10):
                memory["at 10 %"] = resident_memory_mb()

        loop = InspectionLoop(
            NotedFeed(feed, script, scripted), current, GuardedLine(line, states, lamps, challenge, clock), clock,
            station.camera.max_age_ms, report, Supervisor(states, challenge, lambda: None, clock),
        )  # fmt: skip
        states.opened()
        started = time.monotonic()
        watch.start()
        loop.run(stop, parts)
        seconds = time.monotonic() - started
        until = clock.monotonic_ns() + timing.delay + timing.pulse + 1_000 * MS
        while len(tracker) and clock.monotonic_ns() < until:
            time.sleep(0.01)
        memory["at the end"] = resident_memory_mb()
        memory["growth"] = memory["at the end"] - memory.get("at 10 %", 0.0)
        records.flush(60.0)
        watch.close()
        line.close()
        recorded, differ = account.compare(records.path)
        result = Soak(
            engine=engine.runtime, parts=parts, seconds=seconds,
            pace=f"{rate:g} triggers a second" if rate else "as fast as the verdicts come and parts may follow each other",
            timing_ms={name: getattr(timing, name) / MS for name in ("deadline", "delay", "pulse", "spacing", "tolerance")},
            triggers={"given": trigger.given, **watch.counts},
            verdicts=int((account.verdicts != NONE).sum()) + account.twice,
            actions=int((account.actions != NONE).sum()),
            records=recorded, records_that_differ=differ, dropped=records.dropped,
            silent_passes=account.silent_passes(), kinds=account.by_kind(),
            late_ms=quantiles_ms(reject.schedule_error), real_time=reject.comes_first,
            verdict_ms=quantiles_ms(account.verdict_after), memory_mb=memory, said=said,
        )  # fmt: skip
    if out is not None:
        result.write(out)
    return result


def _pictures(engine: Engine, slot: CalibrationSlot) -> tuple[list[Image], list[Image]]:
    """Good and bad ones, as the engine gets them: the calibration's own, and those with a quarter painted over."""
    threshold = slot.record.threshold
    good = [one.copy() for one in slot.pictures if engine.infer(one).scores.score < threshold]
    bad = []
    for picture in good:
        spoilt = picture.copy()
        height, width = spoilt.shape[0] // 4, spoilt.shape[1] // 4
        spoilt[height : 2 * height, width : 2 * width] = (255, 0, 255)
        if engine.infer(spoilt).scores.score >= threshold:
            bad.append(spoilt)
    if not good or not bad:
        raise ConfigError(f"{slot.path}: expected reference pictures that pass, and reject with a magenta square; calibrate again")
    return good, bad


def _timing(engine: Engine, picture: Image, rate: float | None) -> PartTiming:
    """Deadline: six times what the engine takes, at least LEAST_DEADLINE_MS. Pulse: of most of the pitch at ``rate``."""
    took = []
    for _ in range(10):
        started = time.monotonic()
        engine.infer(picture)
        took.append(time.monotonic() - started)
    deadline_ms = max(LEAST_DEADLINE_MS, 6e3 * float(np.median(took)))
    pulse_ms = PULSE_MS if rate is None else min(MOST_PULSE_MS, 0.75e3 / rate)
    tolerance_ms = pulse_ms / 4
    if pulse_ms < DEBOUNCE_MS:
        raise ConfigError(f"expected a rate of at most {0.75e3 / DEBOUNCE_MS:g} parts a second, got {rate:g}; lower --rate")
    delay_ms = deadline_ms + TO_ARM_MS
    return PartTiming(
        deadline=round(deadline_ms * MS), delay=round(delay_ms * MS), pulse=round(pulse_ms * MS), debounce=round(DEBOUNCE_MS * MS),
        spacing=round((pulse_ms + tolerance_ms) * MS), tolerance=round(tolerance_ms * MS),
        capacity=64 + round((delay_ms + pulse_ms) / pulse_ms),
    )  # fmt: skip
