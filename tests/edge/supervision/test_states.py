"""One table: what leads where, what each state drives, and that one fault mended is not all mended."""

from __future__ import annotations

import json
import threading
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.clock import ManualClock
from edge.supervision.line_states import LineStates, Transition
from edge.supervision.states import OUTPUTS, TABLE, Event, State, after

DOCUMENT = Path(__file__).parents[3] / "docs" / "states.md"
PASSING = {State.READY, State.RUNNING, State.DEGRADED}


def test_the_way_through_a_shift() -> None:
    state = State.STARTING
    came = []
    for event in (
        Event.OPENED, Event.TEST_PASSED, Event.PART, Event.WEAKENED, Event.RECOVERED, Event.FAILED, Event.REPAIRED,
        Event.TEST_PASSED, Event.STOP,
    ):  # fmt: skip
        state = after(state, event)
        came.append(state.value)
    assert came == ["self-test", "ready", "running", "degraded", "running", "fault", "self-test", "ready", "stopped"]


@given(st.sampled_from(State), st.sampled_from(Event))
def test_a_pair_that_is_not_in_the_table_raises_and_says_what_would_do(state: State, event: Event) -> None:
    if (state, event) in TABLE:
        assert after(state, event) is TABLE[state, event]
    else:
        with pytest.raises(ValueError, match=f"^{event.name} cannot happen in {state.name}; known there: ") as told:
            after(state, event)
        known = str(told.value).partition("known there: ")[2].split(", ")
        assert known == [one.name for here, one in TABLE if here is state]


def test_only_a_self_test_leads_to_a_state_that_passes_parts() -> None:
    for (before, event), state in TABLE.items():
        if state in PASSING and before not in PASSING:
            assert (before, event) == (State.SELF_TEST, Event.TEST_PASSED)


def test_a_fault_and_a_stop_lead_out_of_every_state_at_once() -> None:
    for state in State:
        assert after(state, Event.STOP) is State.STOPPED
        assert after(state, Event.FAILED) is (State.STOPPED if state is State.STOPPED else State.FAULT)
    assert {state for (before, _), state in TABLE.items() if before is State.STOPPED} == {State.STOPPED}


def test_what_each_state_drives() -> None:
    assert set(OUTPUTS) == set(State)
    for state, outputs in OUTPUTS.items():
        assert outputs.passes == outputs.ready == (state in PASSING)
        assert outputs.fault == (state is State.FAULT)
        assert outputs.ok == (state in PASSING - {State.DEGRADED})


def test_nobody_changes_what_a_state_drives_or_what_was_told() -> None:
    kept = running()
    for one, name in ((OUTPUTS[State.FAULT], "passes"), (kept.told[0], "reason")):
        with pytest.raises(FrozenInstanceError):
            setattr(one, name, True)


def test_the_document_has_the_table() -> None:
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    header = next(row for row in rows if row[0] == "event")
    written = {
        (state, row[0]): cell
        for row in rows
        if row[0] in Event.__members__
        for state, cell in zip(header[1:], row[1:], strict=True)
        if cell
    }
    assert written == {(before.name, event.name): state.name for (before, event), state in TABLE.items()}


class Kept:
    """A LineStates and all it told."""

    def __init__(self) -> None:
        self.told: list[Transition] = []
        self.clock = ManualClock()
        self.states = LineStates(self.told.append, self.clock)

    def way(self) -> list[str]:
        return [one.after.value for one in self.told]


def running() -> Kept:
    kept = Kept()
    kept.states.opened()
    assert kept.states.test_passed()
    kept.states.part()
    return kept


def test_every_change_is_told_once_with_its_reason_and_time() -> None:
    kept = running()
    kept.clock.advance_ms(5)
    kept.states.part()
    kept.states.fail("camera", "unplugged")
    kept.states.fail("camera", "still unplugged")
    assert kept.way() == ["self-test", "ready", "running", "fault"]
    last = kept.told[-1]
    assert (last.before, last.event, last.reason, last.at_ns) == (State.RUNNING, Event.FAILED, "camera: unplugged", 5_000_000)
    written = json.loads(last.to_json())
    assert written == {
        "event": "state", "from": "running", "to": "fault", "cause": "parts can no longer be judged",
        "reason": "camera: unplugged", "at_ns": 5_000_000, "wall_ns": kept.clock.wall_ns(),
    }  # fmt: skip
    assert kept.states.faults == {"camera": "still unplugged"}


def test_a_fault_is_over_when_the_last_one_is_cleared_and_then_it_is_tested_again() -> None:
    kept = running()
    kept.states.fail("camera", "unplugged")
    kept.states.fail("watchdog", "no cycle for 3 s")
    kept.states.clear("camera")
    kept.states.clear("disk")
    assert kept.states.state is State.FAULT
    assert not kept.states.test_passed()
    kept.states.clear("watchdog")
    assert kept.states.state is State.SELF_TEST
    assert not kept.states.outputs.ready
    assert kept.states.test_passed()
    assert kept.way()[-3:] == ["fault", "self-test", "ready"]


def test_a_weakness_lasts_over_a_fault_and_over_a_self_test() -> None:
    kept = Kept()
    kept.states.weaken("engine", "fp32 instead of fp16")
    kept.states.opened()
    assert kept.states.test_passed()
    assert kept.way() == ["self-test", "ready", "degraded"]
    assert kept.told[-1].reason == "engine: fp32 instead of fp16"
    kept.states.weaken("disk", "full")
    kept.states.fail("camera", "unplugged")
    kept.states.clear("camera")
    assert kept.states.test_passed()
    kept.states.clear("engine")
    assert kept.states.state is State.DEGRADED
    assert kept.states.weaknesses == {"disk": "full"}
    kept.states.clear("disk")
    assert kept.states.state is State.RUNNING


def test_a_start_that_fails_is_a_fault_and_its_repair_a_self_test() -> None:
    kept = Kept()
    kept.states.fail("restarts", "5 in 10 minutes")
    kept.states.opened()
    kept.states.clear("restarts")
    kept.states.test_due("challenge")
    kept.states.stop()
    kept.states.fail("watchdog", "late")
    kept.states.clear("watchdog")
    kept.states.stop()
    assert kept.way() == ["fault", "self-test", "stopped"]
    assert not kept.states.test_passed()


def test_an_output_that_cannot_be_set_reaches_the_caller_and_the_state_stands() -> None:
    def broken(_: Transition) -> None:
        raise OSError("the chip is gone")

    states = LineStates(broken, ManualClock())
    with pytest.raises(OSError, match="chip is gone"):
        states.fail("line", "gone")
    assert states.state is State.FAULT


def test_threads_see_one_order_of_changes() -> None:
    kept = running()

    def flap(name: str) -> None:
        for _ in range(300):
            kept.states.fail(name, "gone")
            kept.states.clear(name)
            kept.states.test_passed()

    threads = [threading.Thread(target=flap, args=(name,)) for name in ("camera", "engine", "disk")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept.told) > 300
    for earlier, later in zip(kept.told, kept.told[1:], strict=False):
        assert later.before is earlier.after
        assert after(later.before, later.event) is later.after
    assert kept.states.faults == {}
    assert kept.states.state in (State.SELF_TEST, State.READY)


class AnyShift(RuleBasedStateMachine):
    """Anything in any order: never an unknown pair, never ready with a fault open, never ready without a passed self-test."""

    names = st.sampled_from(["camera", "engine", "disk"])

    def __init__(self) -> None:
        super().__init__()
        self.kept = Kept()
        self.faults: set[str] = set()
        self.weaknesses: set[str] = set()
        self.proved = False
        self.open = self.stopped = False

    @precondition(lambda self: not self.open and not self.stopped and not self.kept.told)
    @rule()
    def opens(self) -> None:
        self.kept.states.opened()
        self.open = True

    @rule()
    def passes_the_test(self) -> None:
        self.proved |= self.kept.states.test_passed()

    @precondition(lambda self: self.kept.told)
    @rule()
    def a_test_is_due(self) -> None:
        self.kept.states.test_due("challenge")
        self.proved = False

    @precondition(lambda self: self.kept.told)
    @rule()
    def a_part_comes(self) -> None:
        self.kept.states.part()

    @rule(name=names)
    def fails(self, name: str) -> None:
        self.kept.states.fail(name, "gone")
        self.faults.add(name)
        self.proved = False

    @rule(name=names)
    def weakens(self, name: str) -> None:
        self.kept.states.weaken(name, "slow")
        self.weaknesses.add(name)

    @rule(name=names)
    def is_right_again(self, name: str) -> None:
        self.kept.states.clear(name)
        self.faults.discard(name)
        self.weaknesses.discard(name)

    @rule()
    def stops(self) -> None:
        self.kept.states.stop()
        self.stopped = True
        self.proved = False

    @invariant()
    def parts_pass_only_when_proved_and_nothing_failed(self) -> None:
        states = self.kept.states
        assert states.outputs.passes == (self.proved and not self.stopped)
        assert set(states.faults) == self.faults
        if self.stopped:
            assert states.state is State.STOPPED
        elif self.faults:
            assert states.state is State.FAULT
        elif self.proved:
            assert (states.state is State.DEGRADED) == bool(self.weaknesses)


AnyShift.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None, derandomize=True)
test_any_shift = AnyShift.TestCase
