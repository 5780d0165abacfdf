"""Every trigger is one part, every part one verdict and one action, and what the line said is what is recorded."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge.line.part_tracker import Action, Finished, Part, PartTiming, PartTracker, Refusal
from edge.verdict import Outcome

MS = 1_000_000
PASS, REJECT, FAULT = Outcome.PASS, Outcome.REJECT, Outcome.FAULT
TIMING = PartTiming(
    deadline=80 * MS, delay=100 * MS, pulse=20 * MS, debounce=2 * MS, spacing=30 * MS, tolerance=2 * MS, travel_limit=1000 * MS
)


class Bench:
    """A tracker, and what has left the arm."""

    def __init__(self, first_part_id: int = 0, **timing: int | bool | None) -> None:
        self.gone: list[Finished] = []
        self.tracker = PartTracker(replace(TIMING, **timing), self.gone.append, first_part_id)  # type: ignore[arg-type]

    def seen(self, at_ms: float, counts: int | None = None) -> Part:
        part = self.tracker.trigger(round(at_ms * MS), counts)
        assert isinstance(part, Part)
        return part

    def decide(self, part_id: int, outcome: Outcome, at_ms: int) -> Outcome:
        return self.tracker.decide(part_id, outcome, at_ms * MS)[0]

    def run(self, from_ms: int, until_ms: int, late_ms: int = 0) -> list[tuple[Outcome | None, Action]]:
        """Drive a line that is ``late_ms`` behind from change to change; outcome and action of what left the arm."""
        now, tracker = from_ms * MS, self.tracker
        tracker.driven(tracker.rejecting(now), now)
        while (change := tracker.next_change_ns(now)) is not None and change <= until_ms * MS:
            now = change
            tracker.driven(tracker.rejecting(now), now + late_ms * MS)
        tracker.driven(tracker.rejecting(until_ms * MS), until_ms * MS)
        return [(one.part.outcome, one.action) for one in self.gone]

    def rejecting(self, *at_ms: int) -> list[bool]:
        return [self.tracker.rejecting(at * MS) for at in at_ms]


def test_a_good_part_is_passed_in_its_window_only_and_a_bad_one_is_not() -> None:
    bench = Bench()
    good, bad = bench.seen(0), bench.seen(50)
    assert bench.decide(good.part_id, PASS, 40) is PASS
    assert bench.decide(bad.part_id, REJECT, 90) is REJECT
    assert bench.rejecting(0, 99, 100, 119, 120, 149, 150, 169, 170) == [True, True, False, False, True, True, True, True, True]
    assert bench.run(0, 500) == [(PASS, Action.PASSED), (REJECT, Action.REJECTED)]
    assert len(bench.tracker) == 0


def test_a_line_that_passes_when_idle_rejects_in_the_window_of_a_bad_part_only() -> None:
    bench = Bench(idle_rejects=False)
    bench.decide(bench.seen(0).part_id, FAULT, 10)
    assert bench.rejecting(0, 99, 100, 119, 120) == [False, False, True, True, False]
    assert bench.run(0, 500) == [(FAULT, Action.REJECTED)]


@pytest.mark.parametrize("decided_ms", [81, 100, 300])
def test_a_verdict_after_the_deadline_is_a_fault(decided_ms: int) -> None:
    bench = Bench()
    bench.seen(0)
    outcome, reason = bench.tracker.decide(0, PASS, decided_ms * MS)
    assert outcome is FAULT
    assert f"{decided_ms} ms passed" in reason
    assert bench.rejecting(110) == [True]


def test_a_part_without_verdict_is_a_fault_when_its_deadline_has_passed() -> None:
    bench = Bench()
    part = bench.seen(0)
    assert bench.tracker.next_change_ns(0) == 80 * MS + 1
    bench.tracker.driven(True, 80 * MS)
    assert part.outcome is None
    bench.tracker.driven(True, 80 * MS + 1)
    assert part.outcome is FAULT
    assert "no verdict within 80 ms" in part.reason
    assert bench.decide(0, PASS, 90) is FAULT


def test_the_first_verdict_stands_and_one_of_a_part_that_is_gone_is_a_fault() -> None:
    bench = Bench()
    bench.seen(0)
    assert bench.decide(0, REJECT, 10) is REJECT
    assert bench.decide(0, PASS, 11) is REJECT
    assert bench.decide(7, PASS, 11) is FAULT


def test_a_bounce_is_no_part_and_two_parts_too_close_are_both_faults() -> None:
    bench = Bench()
    first = bench.seen(0)
    bench.decide(0, PASS, 1)
    assert bench.tracker.trigger(1 * MS) is Refusal.DOUBLE
    assert bench.seen(25).outcome is FAULT
    assert bench.run(25, 500) == [(FAULT, Action.REJECTED), (FAULT, Action.REJECTED)]
    assert "25 ms" in first.reason
    assert bench.seen(600).outcome is None


def test_a_part_too_close_to_one_that_is_gone_is_a_fault_alone() -> None:
    bench = Bench(spacing=200 * MS)
    bench.decide(bench.seen(0).part_id, PASS, 1)
    assert bench.run(0, 150) == [(PASS, Action.PASSED)]
    assert bench.seen(150).outcome is FAULT
    assert bench.run(150, 500)[1:] == [(FAULT, Action.REJECTED)]


def test_with_the_queue_full_nothing_in_flight_is_passed_any_more() -> None:
    bench = Bench(delay=10_000 * MS, capacity=3)
    for index in range(3):
        bench.decide(bench.seen(index * 40).part_id, PASS, index * 40)
    assert bench.tracker.trigger(200 * MS) is Refusal.FULL
    assert bench.run(200, 20_000) == [(FAULT, Action.REJECTED)] * 3


def test_time_that_goes_back_makes_all_faults() -> None:
    bench = Bench()
    bench.decide(bench.seen(50).part_id, PASS, 51)
    assert bench.tracker.trigger(40 * MS) is Refusal.BACKWARDS
    assert bench.run(51, 500) == [(FAULT, Action.REJECTED)]


def test_a_line_that_comes_late_to_a_bad_part_is_told_and_within_the_tolerance_it_is_not() -> None:
    for late_ms, action in ((1, Action.REJECTED), (3, Action.LATE)):
        bench = Bench(idle_rejects=False)
        bench.decide(bench.seen(0).part_id, REJECT, 1)
        assert bench.run(0, 500, late_ms) == [(REJECT, action)]
    bench = Bench()
    bench.decide(bench.seen(0).part_id, PASS, 1)
    assert bench.run(0, 500, 8) == [(PASS, Action.UNKNOWN)]  # opened late: neither passed nor taken out


def test_the_encoder_brings_a_part_to_the_arm() -> None:
    bench = Bench(delay_counts=500)
    bench.tracker.driven(True, 0)
    bench.seen(0, counts=1000)
    bench.decide(0, PASS, 10)
    bench.tracker.encoder(1499, 300 * MS)
    assert bench.rejecting(310) == [True]
    bench.tracker.encoder(1500, 400 * MS)
    assert bench.rejecting(400, 419, 420) == [False, False, True]
    assert bench.run(400, 900) == [(PASS, Action.PASSED)]


def test_a_verdict_for_a_part_that_the_encoder_has_brought_to_the_arm_already_is_a_fault() -> None:
    bench = Bench(delay_counts=500)
    bench.seen(0, counts=0)
    bench.tracker.encoder(500, 30 * MS)
    assert bench.decide(0, PASS, 31) is FAULT


def test_a_part_that_never_comes_to_the_arm_is_told() -> None:
    bench = Bench(delay_counts=500)
    bench.decide(bench.seen(0, counts=0).part_id, PASS, 10)
    assert bench.run(10, 2000) == [(FAULT, Action.UNKNOWN)]


def test_without_delay_counts_the_encoder_moves_nothing() -> None:
    bench = Bench()
    bench.decide(bench.seen(0, counts=0).part_id, PASS, 10)
    bench.tracker.encoder(10_000, 20 * MS)
    assert bench.run(20, 500) == [(PASS, Action.PASSED)]


def test_what_is_left_when_the_program_ends_is_unknown() -> None:
    bench = Bench(first_part_id=10)
    bench.seen(0)
    bench.tracker.abandon()
    bench.tracker.abandon()
    assert [(one.part.part_id, one.action) for one in bench.gone] == [(10, Action.UNKNOWN)]


@pytest.mark.parametrize(
    "wrong", [{"deadline": 101 * MS}, {"spacing": 21 * MS}, {"pulse": 4 * MS}], ids=["deadline", "spacing", "tolerance"]
)
def test_timings_that_cannot_hold_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"\d ms"):
        replace(TIMING, **wrong)  # type: ignore[arg-type]


class AnyLine(RuleBasedStateMachine):
    """Random triggers, verdicts, delays and faults over a clock of its own, and a line that follows without delay."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.given: dict[int, Outcome] = {}
        self.accepted: list[int] = []
        self.gone: list[Finished] = []
        self.passing: set[int] = set()

    @initialize(idle_rejects=st.booleans(), capacity=st.integers(1, 6))
    def begin(self, idle_rejects: bool, capacity: int) -> None:
        self.tracker = PartTracker(replace(TIMING, idle_rejects=idle_rejects, capacity=capacity), self.gone.append)
        self.drive()

    def drive(self) -> None:
        level = self.tracker.rejecting(self.now)
        self.tracker.driven(level, self.now)

    def note_passing(self) -> None:
        """Good parts at the arm right now: what is found out from here on comes too late for them."""
        self.passing |= {one.part_id for one in self.tracker.in_flight() if one.outcome is PASS and one.at_arm(self.now)}

    @rule(wait_ms=st.integers(0, 150))
    def time_passes(self, wait_ms: int) -> None:
        until = self.now + wait_ms * MS
        while (change := self.tracker.next_change_ns(self.now)) is not None and change <= until:
            self.now = change
            self.drive()
        self.now = until
        self.drive()

    @rule()
    def a_part_comes(self) -> None:
        self.note_passing()
        came = self.tracker.trigger(self.now)
        if isinstance(came, Part):
            self.accepted.append(came.part_id)
        self.drive()

    @precondition(lambda self: self.accepted)
    @rule(back=st.integers(0, 5), outcome=st.sampled_from(list(Outcome)))
    def a_verdict_comes(self, back: int, outcome: Outcome) -> None:
        part_id = self.accepted[max(0, len(self.accepted) - 1 - back)]
        self.given.setdefault(part_id, outcome)
        self.tracker.decide(part_id, outcome, self.now)
        self.drive()

    @rule()
    def something_is_wrong(self) -> None:
        self.note_passing()
        self.tracker.fault_all("the clock stood still")
        self.drive()

    @invariant()
    def each_part_has_one_action_and_only_a_good_one_is_passed(self) -> None:
        if not hasattr(self, "tracker"):
            return
        assert len(self.gone) + len(self.tracker) == len(self.accepted)
        assert [one.part.part_id for one in self.gone] == self.accepted[: len(self.gone)]
        for one in self.gone:
            assert one.part.outcome is not None
            if one.part.outcome is Outcome.PASS:
                assert self.given[one.part.part_id] is Outcome.PASS
                assert one.action is Action.PASSED
            else:
                late = one.action is Action.LATE and one.part.part_id in self.passing
                assert late or one.action is Action.REJECTED

    def teardown(self) -> None:
        if hasattr(self, "tracker"):
            self.time_passes(2000)
            assert len(self.tracker) == 0
            self.each_part_has_one_action_and_only_a_good_one_is_passed()


AnyLine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None, derandomize=True)
test_any_line = AnyLine.TestCase
