"""edge-inspect's run, from the options to the last words: everything opened in the order that keeps the line safe."""

from __future__ import annotations

import argparse
import gc
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from edge.bundles.bundle_signature import UNSIGNED_ALLOWED
from edge.cameras.lasting_camera import LastingCamera
from edge.clock import Clock
from edge.console.announcer import Announcer
from edge.console.status_line import StatusLine
from edge.drift.drift_watch import DriftEvent
from edge.engines.base import Inference
from edge.engines.build_observer import ConsoleObserver
from edge.errors import EXIT_FAILED, EXIT_OK, BuildStoppedError
from edge.inspection_loop import InspectionLoop
from edge.line.line_assembly import Line, assemble
from edge.line.lines_in_words import lines_in_words
from edge.line.output_lines import OutputLines
from edge.line.part_feed import AheadFeed, Seen
from edge.line.shadow import without_acting_lines
from edge.live.companion import Companion
from edge.live.companions import companions
from edge.live.live_board import LiveBoard
from edge.products.product import CurrentProduct, Product
from edge.products.product_camera import ProductCamera
from edge.products.product_making import ProductMaking, described
from edge.products.product_opening import ProductOpening
from edge.recipes.ready_recipe import ReadyRecipe
from edge.recipes.recipe_choice import RecipeChoice, chosen_recipe
from edge.recipes.recipe_stager import RecipeStager
from edge.recipes.recipe_switch import RecipeSwitch
from edge.records.keeping import Keeping
from edge.records.run_recorder import RunRecorder
from edge.records.verdict_log import VerdictLog
from edge.slots.bound_slot import BoundSlot
from edge.station_config import StationConfig
from edge.supervision.hardware_wait import HardwareWait, StoppedWaitingError
from edge.supervision.health_watch import HealthWatch
from edge.supervision.machine_health import SystemTree
from edge.supervision.oversight import Oversight
from edge.supervision.restart_budget import RestartBudget
from edge.supervision.service_manager import ServiceManager
from edge.supervision.stop_order import StopOrder
from edge.supervision.supervisor import Supervisor
from edge.verdict import Outcome, Verdict


@dataclass
class Inspection:
    """What a run has at hand from its first line on, and below what its steps add, in the order in which they do."""

    options: argparse.Namespace
    station: StationConfig
    console: Console
    stop: threading.Event
    clock: Clock
    stack: ExitStack
    log: VerdictLog | None
    manager: ServiceManager = field(default_factory=ServiceManager)
    outputs: OutputLines | None = None
    current: CurrentProduct | None = None
    wait: HardwareWait = field(init=False)
    acting: StationConfig = field(init=False)
    cameras: ProductCamera = field(init=False)
    camera: LastingCamera = field(init=False)
    status: StatusLine = field(init=False)
    announcer: Announcer = field(init=False)
    kept: Keeping = field(init=False)
    oversight: Oversight = field(init=False)
    line: Line = field(init=False)
    board: LiveBoard = field(init=False)
    companions: list[Companion] = field(default_factory=list)

    def say(self, text: str, style: str = "") -> None:
        """One line for people."""
        self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def run(self) -> int:
        """Inspect until told to stop; the exit code."""
        try:
            return self._run()
        except (StoppedWaitingError, BuildStoppedError):
            self.say("stopped while waiting; lines are safe")
            return 0

    def _run(self) -> int:
        options, stack = self.options, self.stack
        choice = chosen_recipe(options, self.clock)
        self.acting = without_acting_lines(self.station)
        stack.callback(self.manager.close)
        self.wait = HardwareWait(
            options.wait_for_hardware, self.manager, self.stop, self.clock, lambda text: self.say(text, "yellow")
        )
        # The lines come first, so that they are safe while everything else is still being opened.
        if not options.dry_run:
            self.outputs = stack.enter_context(self.wait.opened(lambda: OutputLines(self.acting.lines, self.clock)))
        opening = ProductOpening(options, self.acting, choice, ConsoleObserver(self.console, self.stop))
        budget = RestartBudget(opening.state / "starts.json") if "INVOCATION_ID" in os.environ else None
        refused = budget.begin() if budget is not None else ""
        stack.callback(self._close_product)
        first = opening.first(stack, self.wait.opened)
        self._open_camera(first, opening.state)
        self._keep(first, opening.state)
        self._open_line(opening.state)
        bound = first.bound()
        self._say_what_runs(first, bound, refused)
        loop = self._assemble(first, bound, opening, choice)
        self._begin()
        try:
            loop.run(self.stop, options.max_frames)
            self.line.leave(self.stop)
        finally:
            self.manager.stopping()
            self.kept.audit("stop", parts=loop.counts.total())
        stack.close()  # lines safe, log written, before the last words
        if budget is not None:
            budget.ended()
        return self._last_words(loop, self.line)

    def _open_camera(self, first: ReadyRecipe, state: Path) -> None:
        self.cameras = ProductCamera(state, self.clock, lambda text: self.say(text, "yellow"))
        self.stack.callback(self.cameras.close)
        self.camera = self.cameras.open(first.station.camera, first.slot.record.camera_settings, self.wait.opened)
        self.stack.callback(self.camera.close)

    def _keep(self, first: ReadyRecipe, state: Path) -> None:
        stack, options = self.stack, self.options
        self.status = stack.enter_context(StatusLine(self.console))
        self.announcer = stack.enter_context(Announcer(lambda text: self.say(text, "yellow")))
        self.kept = Keeping(self.acting, state, not options.dry_run, self.log, self.clock, self.announcer.add)
        stack.callback(self.kept.close)
        if self.kept.records is not None and self.kept.records.recovered:
            many = self.kept.records.recovered
            self.say(f"{many} parts were in flight when the last run ended: their action is unknown", "yellow")
        if options.record is not None:
            self.kept.recorder = RunRecorder(
                options.record, first.store.bundle, first.precision, first.runtime, self.acting, self.camera.name, self.clock,
                self.announcer.add,
            )  # fmt: skip

    def _open_line(self, state: Path) -> None:
        station, kept, clock = self.acting, self.kept, self.clock
        order = None if self.options.dry_run else StopOrder(state, self.announcer.add)
        over = self.oversight = Oversight(station, self.outputs, kept, self.announcer.add, self.manager, clock, order)
        first_part_id, fail = kept.first_part_id, over.line_lost
        self.line = self.wait.opened(
            lambda: assemble(station, self.outputs, state, kept.records, first_part_id, fail, over.stop_line, clock, self.stack)
        )
        over.guard(self.line.parts, state, self.stack)
        self.board = LiveBoard(
            state, over.states, self.camera.name, lines_in_words(self.station, self.outputs), station.shadow, self._triggers,
            kept.lost, clock, lambda text: self.say(text, "yellow"), kept.station_sha256(), SystemTree().temperatures,
        )  # fmt: skip
        self.stack.callback(self.board.close)
        recorded = kept.records is not None
        self.companions += companions(self.options, self.station, state, first_part_id, recorded, self.announcer.add, clock)
        for companion in self.companions:
            self.stack.callback(companion.close)

    def _say_what_runs(self, first: ReadyRecipe, bound: BoundSlot, refused: str) -> None:
        recipe, model = f"recipe {first.name}: " if first.name else "", first.store.bundle.manifest.model_id
        self.say(f"{recipe}model {model} {first.precision} on {first.runtime}, camera {self.camera.name}")
        signer = first.store.bundle.signed_by
        self.say(f"bundle signed by {signer}" if signer else UNSIGNED_ALLOWED)
        if bound.degraded:
            self.oversight.precision(bound.degraded)
            self.say(f"NOT AS ASKED: {bound.degraded}", "bold yellow")
        self.say(f"calibration {first.slot.record.serial}: {first.slot.describe()}")
        drives = self.station.lines.backend == "gpiod" and not self.station.shadow
        self.say(lines_in_words(self.station, self.outputs), "" if drives else "bold yellow")
        if refused:
            self.say(refused, "bold red")
            self.oversight.states.fail("starts", refused)

    def _assemble(
        self, first: ReadyRecipe, bound: BoundSlot, opening: ProductOpening, choice: RecipeChoice | None
    ) -> InspectionLoop:
        over = self.oversight
        making = ProductMaking(
            self.camera.live, self.line.trigger is not None, self._teller("calibration"), self._tell_drift, self.clock
        )
        current = self.current = CurrentProduct(making.make(first, bound))
        self.stack.callback(current.stop_looking)
        self.board.product(current.product)
        recipes = self._recipes(current, making, opening, choice) if choice is not None else None
        feed = AheadFeed(self.line.feed(self.camera, current.preprocess), self.stop)
        self.stack.callback(feed.close)
        self.kept.audit("start", **described(first), station_sha256=self.kept.station_sha256())
        return InspectionLoop(
            feed, current, over.guarded, self.clock, self.acting.camera.max_age_ms, self._report,
            Supervisor(over.states, over.challenge, over.beat, self.clock), recipes, self.station.shadow,
        )  # fmt: skip

    def _recipes(
        self, current: CurrentProduct, making: ProductMaking, opening: ProductOpening, choice: RecipeChoice
    ) -> RecipeSwitch:
        over, tell = self.oversight, self._teller("recipe")
        stager = RecipeStager(choice.files, choice.name, choice.number, opening.another, tell, self.clock)
        self.stack.enter_context(stager)

        def taking(ready: ReadyRecipe, product: Product) -> None:
            over.challenge.demand()
            over.states.test_due(f"recipe {ready.name}")
            over.precision(product.bound.degraded)
            self.cameras.suit(self.camera, ready.station.camera, product.slot.record.camera_settings)
            wanted = ready.request
            by = {"operator": wanted.operator, "why": wanted.reason} if wanted is not None else {}
            self.kept.audit("product", **described(ready), calibration=product.slot.record.serial, **by)

        return RecipeSwitch(stager, current, making.make, taking)

    def _begin(self) -> None:
        stack, over, guarded = self.stack, self.oversight, self.oversight.guarded
        stack.enter_context(
            HealthWatch(over.states, guarded.fault_all, self.announcer.add, self._weaknesses, over.look, self.clock)
        )
        stack.enter_context(over.watchdog)
        # Once more, so that on the way out they come first: a process, a camera or an engine may take seconds to close.
        stack.callback(guarded.close)
        stack.callback(over.states.stop)
        over.states.opened()
        self.manager.ready()
        self.line.start()
        for companion in self.companions:
            companion.start()
        gc.collect()
        gc.freeze()  # what was made so far stays; a collection looks only at what parts leave behind

    def _report(self, verdict: Verdict, seen: Seen, inference: Inference | None) -> None:
        assert self.current is not None
        product = self.current.product
        self.kept.verdict(verdict, seen, inference, product, final=self.line.trigger is None)
        if product.drift is not None:
            product.drift.add(verdict, product.slot.record)
        self.board.part(verdict, seen, inference, product)
        self.status.show(verdict, product.drift.short if product.drift is not None else "")

    def _teller(self, kind: str) -> Callable[[str, bool], None]:
        def tell(text: str, bad: bool) -> None:
            self.say(f"edge-inspect: {text}" if bad else text, "yellow" if bad else "")
            self.kept.audit(kind, text=text, refused=bad)

        return tell

    def _tell_drift(self, event: DriftEvent) -> None:
        self.kept.drifted(event)
        self.announcer.add(f"drift: {event.message}")

    def _weaknesses(self) -> dict[str, str]:
        found = self.kept.weaknesses() | {"live view": self.board.failure}
        for companion in self.companions:
            found |= companion.weaknesses()
        return found

    def _triggers(self) -> dict[str, int]:
        return dict(self.line.trigger.counts) if self.line.trigger is not None else {}

    def _close_product(self) -> None:
        if self.current is not None:
            self.current.close()

    def _last_words(self, loop: InspectionLoop, line: Line) -> int:
        counts = ", ".join(f"{loop.counts[outcome]} {outcome.value}" for outcome in Outcome)
        what = "frames" if line.trigger is None else "parts"
        self.say(f"{loop.counts.total()} {what}: {counts}; lines are safe")
        if line.trigger is not None:
            triggers = ", ".join(f"{count} {what}" for what, count in line.trigger.counts.items())
            how = "with" if line.reject.comes_first else "without"
            self.say(f"triggers: {triggers or 'none'}; {line.reject.schedule_error.describe()}, {how} real-time priority")
        if (log := self.log) is not None and (log.failure is not None or log.dropped):
            self.say(f"edge-inspect: {log.dropped} verdicts were not written ({log.failure or 'the log was too slow'})", "red")
            return EXIT_FAILED
        records = self.kept.records
        if records is not None and records.failure is not None and records.dropped:  # losses that were over were told then
            lost = f"{records.dropped} entries of part records were not written ({records.failure})"
            self.say(f"edge-inspect: {lost}; parts are missing there", "red")
            return EXIT_FAILED
        return EXIT_OK
