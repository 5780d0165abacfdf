"""Another product is taken between two parts, whole or not at all; what came before it is judged by neither."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from edge.cameras.lasting_camera import LastingCamera
from edge.clock import ManualClock, SystemClock
from edge.engines.base import Engine, Inference
from edge.engines.open_engine import open_engine
from edge.errors import EndOfStream
from edge.gpio.recording import RecordingLine
from edge.inspection_loop import Feed, InspectionLoop
from edge.line.guarded_line import GuardedLine
from edge.line.part_feed import FreeFeed, PartFeed, Seen, TriggeredFeed
from edge.line.part_line import FreeLine
from edge.line.part_tracker import Part
from edge.line.reject_gate import RejectGate
from edge.line.reject_line import RejectLine
from edge.products.product import CurrentProduct, Product
from edge.products.product_making import ProductMaking
from edge.recipes.ready_recipe import ReadyRecipe, prepare
from edge.recipes.recipe_file import load_recipes
from edge.recipes.recipe_request import RecipeFiles
from edge.recipes.recipe_stager import RecipeStager
from edge.recipes.recipe_switch import RecipeSwitch
from edge.slots.bound_slot import BoundSlot
from edge.station_config import StationConfig
from edge.supervision.challenge import Challenge, ChallengeConfig
from edge.supervision.line_states import LineStates
from edge.supervision.state_outputs import StateOutputs
from edge.supervision.states import State
from edge.supervision.supervisor import Supervisor
from edge.verdict import Outcome, Verdict
from tests.edge.recipes.two_products import GOOD, judged, write_two_products
from tests.edge.test_inspection_loop import ScriptedCamera

PASS, FAULT = Outcome.PASS, Outcome.FAULT


class OneAhead:
    """A feed that has the next part captured while the engine is at this one, as the capture thread has; without the thread."""

    def __init__(self, feed: PartFeed, clock: ManualClock) -> None:
        self._feed, self._clock, self._next = feed, clock, feed.next(threading.Event())

    def next(self, stop: threading.Event) -> Seen | None:
        seen, self._next = self._next, None
        if seen is None:
            raise EndOfStream("the end")
        self._clock.advance_ms(1)
        with suppress(EndOfStream):
            self._next = self._feed.next(stop)
        return seen


class Station:
    """The real loop, stager, switch, engines, states and gate over two real products; looked at by hand after each part."""

    def __init__(self, recipes: Path, challenge: ChallengeConfig | None = None) -> None:
        self.path, self.clock = recipes, ManualClock()
        self.files = RecipeFiles(recipes.parent / "state", self.clock)
        self.told: list[str] = []
        self.taken: list[str] = []
        self.verdicts: list[Verdict] = []
        self.after: dict[int, Callable[[], object]] = {}
        self.engines: list[Engine] = []
        self.spoil: Callable[[ReadyRecipe], None] = lambda ready: None
        self.making = ProductMaking(False, False, lambda text, _: self.told.append(text), lambda event: None, SystemClock())
        lamps = StateOutputs(None, False, lambda change: None)
        self.states = LineStates(lamps, self.clock)
        self.challenge = Challenge(challenge or ChallengeConfig())
        first = self.prepared("cap")
        self.current = CurrentProduct(self.making.make(first, first.bound()))
        self.stager = RecipeStager(self.files, "cap", 0, self.prepared, lambda text, _: self.told.append(text), self.clock)
        self.switch = RecipeSwitch(self.stager, self.current, self.making.make, self.taking)
        self.line = RecordingLine("reject", True, self.clock)
        gate = RejectGate(200, 1000)
        self.guarded = GuardedLine(
            FreeLine(gate, RejectLine(self.line, gate, self.clock)), self.states, lamps, self.challenge, self.clock
        )

    def prepared(self, name: str) -> ReadyRecipe:
        ready = prepare(name, load_recipes(self.path).named(name), StationConfig(), None, open_engine)
        assert ready.engine is not None
        self.engines.append(ready.engine)
        self.spoil(ready)
        return ready

    def taking(self, ready: ReadyRecipe, product: Product) -> None:
        self.taken.append(product.recipe)
        self.challenge.demand()
        self.states.test_due(f"recipe {ready.name}")

    def want(self, name: str) -> None:
        self.files.ask(name, "Ann", "")
        self.stager.poll()

    def report(self, verdict: Verdict, seen: Seen, inference: Inference | None) -> None:
        assert seen.part_id == verdict.part_id
        assert (inference is None) == (verdict.scores is None)
        self.verdicts.append(verdict)
        self.clock.advance_ms(300)
        self.after.pop(verdict.part_id, lambda: None)()

    def inspect(self, parts: int) -> list[tuple[Outcome, str]]:
        """(outcome, recipe) of so many good parts."""
        camera = ScriptedCamera([GOOD] * parts, self.clock)
        feed = FreeFeed(LastingCamera(camera, lambda: camera, self.clock), self.current.preprocess, self.clock, 2000)
        return self.inspect_from(OneAhead(feed, self.clock))

    def inspect_from(self, feed: Feed, stop: threading.Event | None = None) -> list[tuple[Outcome, str]]:
        self.states.opened()
        supervisor = Supervisor(self.states, self.challenge, lambda: None, self.clock)
        InspectionLoop(feed, self.current, self.guarded, self.clock, 1000, self.report, supervisor, self.switch).run(
            stop or threading.Event()
        )
        self.stager.poll()
        return [(verdict.outcome, verdict.recipe) for verdict in self.verdicts]

    def close(self) -> None:
        self.stager.close()
        self.current.close()
        self.guarded.close()
        assert all(engine._closed for engine in self.engines)


@pytest.fixture
def recipes(calibrated_dir: Path) -> Path:
    path = write_two_products(calibrated_dir)
    assert judged(path, "cap") != judged(path, "lid")
    return path


@pytest.fixture
def station(recipes: Path) -> Iterator[Station]:
    made = Station(recipes)
    yield made
    made.close()


def assert_no_mixture(station: Station) -> None:
    """Threshold and score of each verdict are those of its product by itself, to the last bit."""
    alone = {name: judged(station.path, name) for name in ("cap", "lid")}
    for verdict in station.verdicts:
        threshold, score = alone[verdict.recipe]
        assert verdict.threshold == threshold
        assert verdict.scores is None or verdict.scores.score == score


def test_a_recipe_is_taken_between_two_parts_and_back_again(station: Station) -> None:
    station.after = {1: lambda: station.want("lid"), 4: lambda: station.want("cap")}
    cap, lid = (PASS, "cap"), (PASS, "lid")
    assert station.inspect(8) == [cap, cap, (FAULT, "lid"), lid, lid, (FAULT, "cap"), cap, cap]
    assert_no_mixture(station)
    assert station.verdicts[2].reason == "the part came before the product was changed to lid: it is judged by neither"
    assert station.verdicts[2].scores is None
    assert station.taken == ["lid", "cap"]
    assert station.states.state is State.RUNNING
    answer = station.files.answered()
    assert answer is not None
    assert (answer.running, answer.refusal) == ("cap", "")


def test_a_part_triggered_before_the_change_is_a_fault_although_its_picture_came_after(station: Station) -> None:
    parts: queue.SimpleQueue[Part] = queue.SimpleQueue()

    def trigger(part_id: int) -> None:
        now = station.clock.monotonic_ns()
        parts.put(Part(part_id, now, now + 10**9, None, None, None))
        station.clock.advance_ms(1)

    def change() -> None:
        trigger(1)
        station.want("lid")

    station.after = {0: change, 1: lambda: trigger(2)}
    camera = ScriptedCamera([GOOD] * 3, station.clock)
    trigger(0)
    lasting = LastingCamera(camera, lambda: camera, station.clock)
    feed = TriggeredFeed(lasting, station.current.preprocess, station.clock, parts, 0, 10**9)
    stop = threading.Event()
    station.after[2] = stop.set
    assert station.inspect_from(feed, stop) == [(PASS, "cap"), (FAULT, "lid"), (PASS, "lid")]
    assert_no_mixture(station)


def test_the_old_engine_is_closed_and_the_calibrations_are_those_of_the_new_one(station: Station) -> None:
    station.after = {0: lambda: station.want("lid")}
    before = station.current.product
    station.inspect(3)
    assert station.engines[0]._closed
    assert not station.engines[1]._closed
    assert before.slots is not None
    assert before.slots is not station.current.product.slots
    assert before.drift is not station.current.product.drift


@pytest.mark.parametrize("after", [1, 2])
def test_no_part_passes_after_a_change_before_the_challenge_part_was_rejected(recipes: Path, after: int) -> None:
    station = Station(recipes, ChallengeConfig(every_hours=8))
    station.challenge.announce(0)
    station.challenge.judge(Outcome.REJECT, 0)
    station.after = {after: lambda: station.want("lid")}
    outcomes = station.inspect(6)
    assert outcomes[: after + 1] == [(PASS, "cap")] * (after + 1)
    assert outcomes[after + 1 :] == [(FAULT, "lid")] * (5 - after)
    assert "challenge part" in station.verdicts[-1].reason
    station.close()


def test_one_that_cannot_be_prepared_changes_nothing(station: Station) -> None:
    station.after = {0: lambda: station.want("gone")}
    assert station.inspect(3) == [(PASS, "cap")] * 3
    assert station.taken == []
    assert station.told[-1].endswith("cap stays")


def test_an_engine_that_cannot_be_opened_where_it_is_used_keeps_the_old_product(station: Station) -> None:
    def fails() -> tuple[Engine, object]:
        raise RuntimeError("the device is out of memory")

    def spoil(ready: ReadyRecipe) -> None:
        ready.close()
        ready.open_engine = fails  # type: ignore[assignment]

    station.spoil = spoil
    station.after = {0: lambda: station.want("lid")}
    assert station.inspect(3) == [(PASS, "cap")] * 3
    assert station.told[-1] == "recipe lid is refused: the device is out of memory; cap stays"
    assert station.states.state is State.RUNNING


def test_a_product_that_cannot_be_made_keeps_the_old_one_and_gives_its_engine_back(station: Station) -> None:
    def fails(ready: ReadyRecipe, bound: BoundSlot) -> Product:
        raise ValueError("no baseline")

    station.switch = RecipeSwitch(station.stager, station.current, fails, station.taking)
    station.after = {0: lambda: station.want("lid")}
    assert station.inspect(3) == [(PASS, "cap")] * 3
    assert station.told[-1] == "recipe lid is refused: no baseline; cap stays"
    assert station.engines[1]._closed


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_wanted_whenever_no_part_is_judged_by_a_mixture(station: Station, seed: int) -> None:
    chance = np.random.default_rng(seed)

    def something() -> None:
        if chance.random() < 0.3:
            station.want(str(chance.choice(["cap", "lid", "gone"])))

    station.after = dict.fromkeys(range(40), something)
    outcomes = station.inspect(41)
    assert_no_mixture(station)
    assert len(outcomes) == 41
    assert {recipe for _, recipe in outcomes} == {"cap", "lid"}
    changes = [index for index in range(1, 41) if outcomes[index][1] != outcomes[index - 1][1]]
    assert [outcome for outcome, _ in outcomes].count(FAULT) == len(changes) == len(station.taken)
