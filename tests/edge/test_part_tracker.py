"""Every trigger is one part, every part one verdict and one action, and what the line said is what is recorded."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge.part_tracker import Action, Finished, Part, PartTiming, PartTracker, Refusal
from edge.verdict import Outcome

MS = 1_000_000
TIMING = PartTiming(
    deadline=80 * MS, delay=100 * MS, pulse=20 * MS, debounce=2 * MS, spacing=30 * MS, tolerance=2 * MS, travel_limit=1000 * MS
)


def seen(tracker: PartTracker, at_ms: float, counts: int | None = None) -> Part:
    part = tracker.trigger(round(at_ms * MS), counts)
    assert isinstance(part, Part)
    return part


def run_to(tracker: PartTracker, now_ns: int, until_ns: int, late_ns: int = 0) -> list[Finished]:
    """Drive an ideal line, or one that is ``late_ns`` behind, from change to change."""
    tracker.driven(tracker.rejecting(now_ns), now_ns)
    while (change := tracker.next_change_ns(now_ns)) is not None and change <= until_ns:
        now_ns = change
        tracker.expire(now_ns)
        tracker.driven(tracker.rejecting(now_ns), now_ns + late_ns)
    tracker.driven(tracker.rejecting(until_ns), until_ns)
    return tracker.finished()


def test_a_good_part_is_passed_in_its_window_only_and_a_bad_one_is_not() -> None:
    tracker = PartTracker(TIMING)
    good, bad = seen(tracker, 0), seen(tracker, 50)
    assert tracker.decide(good.part_id, Outcome.PASS, 40 * MS) is Outcome.PASS
    assert tracker.decide(bad.part_id, Outcome.REJECT, 90 * MS, "scratched") is Outcome.REJECT
    levels = {at: tracker.rejecting(at * MS) for at in (0, 99, 100, 119, 120, 149, 150, 169, 170)}
    assert levels == {0: True, 99: True, 100: False, 119: False, 120: True, 149: True, 150: True, 169: True, 170: True}
    finished = run_to(tracker, 0, 500 * MS)
    assert [(one.part.part_id, one.part.outcome, one.action) for one in finished] == [
        (0, Outcome.PASS, Action.PASSED),
        (1, Outcome.REJECT, Action.REJECTED),
    ]
    assert len(tracker) == 0


def test_a_line_that_passes_when_idle_rejects_in_the_window_of_a_bad_part_only() -> None:
    tracker = PartTracker(PartTiming(**{**vars_of(TIMING), "idle_rejects": False}))
    seen(tracker, 0)
    tracker.decide(0, Outcome.FAULT, 10 * MS)
    assert [tracker.rejecting(at * MS) for at in (0, 99, 100, 119, 120)] == [False, False, True, True, False]
    (finished,) = run_to(tracker, 0, 500 * MS)
    assert finished.action is Action.REJECTED


def vars_of(timing: PartTiming) -> dict[str, int | bool | None]:
    return {name: getattr(timing, name) for name in PartTiming.__dataclass_fields__}


@pytest.mark.parametrize("decided_ms", [81, 100, 300])
def test_a_verdict_after_the_deadline_is_a_fault(decided_ms: int) -> None:
    tracker = PartTracker(TIMING)
    seen(tracker, 0)
    assert tracker.decide(0, Outcome.PASS, decided_ms * MS) is Outcome.FAULT
    assert tracker.rejecting(110 * MS)
    assert f"{decided_ms} ms passed" in run_to(tracker, decided_ms * MS, 500 * MS)[0].part.reason


def test_a_part_without_verdict_is_told_once_when_its_deadline_has_passed() -> None:
    tracker = PartTracker(TIMING)
    seen(tracker, 0)
    assert tracker.next_change_ns(0) == 80 * MS + 1
    assert tracker.expire(80 * MS) == []
    (expired,) = tracker.expire(80 * MS + 1)
    assert expired.outcome is Outcome.FAULT
    assert "no verdict within 80 ms" in expired.reason
    assert tracker.expire(81 * MS) == []


def test_the_first_verdict_stands_and_one_of_a_part_that_is_gone_is_a_fault() -> None:
    tracker = PartTracker(TIMING)
    seen(tracker, 0)
    assert tracker.decide(0, Outcome.REJECT, 10 * MS) is Outcome.REJECT
    assert tracker.decide(0, Outcome.PASS, 11 * MS) is Outcome.REJECT
    assert tracker.decide(7, Outcome.PASS, 11 * MS) is Outcome.FAULT


def test_a_bounce_is_no_part_and_two_parts_too_close_are_both_faults() -> None:
    tracker = PartTracker(TIMING)
    seen(tracker, 0)
    tracker.decide(0, Outcome.PASS, 1 * MS)
    assert tracker.trigger(1 * MS) is Refusal.DOUBLE
    second = seen(tracker, 25)
    assert second.outcome is Outcome.FAULT
    finished = run_to(tracker, 25 * MS, 500 * MS)
    assert [one.action for one in finished] == [Action.REJECTED, Action.REJECTED]
    assert "25.0 ms" in finished[0].part.reason
    assert finished[0].part.outcome is Outcome.FAULT
    assert seen(tracker, 600).outcome is None


def test_with_the_queue_full_nothing_in_flight_is_passed_any_more() -> None:
    tracker = PartTracker(PartTiming(**{**vars_of(TIMING), "delay": 10_000 * MS, "capacity": 3}))
    for index in range(3):
        tracker.decide(seen(tracker, index * 40).part_id, Outcome.PASS, index * 40 * MS)
    assert tracker.trigger(200 * MS) is Refusal.FULL
    finished = run_to(tracker, 200 * MS, 20_000 * MS)
    assert [one.part.outcome for one in finished] == [Outcome.FAULT] * 3
    assert [one.action for one in finished] == [Action.REJECTED] * 3


def test_time_that_goes_back_makes_all_faults() -> None:
    tracker = PartTracker(TIMING)
    tracker.decide(seen(tracker, 50).part_id, Outcome.PASS, 51 * MS)
    assert tracker.trigger(40 * MS) is Refusal.BACKWARDS
    assert run_to(tracker, 51 * MS, 500 * MS)[0].part.outcome is Outcome.FAULT


def test_a_line_that_comes_late_to_a_bad_part_is_told_and_within_the_tolerance_it_is_not() -> None:
    for late_ms, action in ((1, Action.REJECTED), (3, Action.LATE)):
        tracker = PartTracker(PartTiming(**{**vars_of(TIMING), "idle_rejects": False}))
        tracker.decide(seen(tracker, 0).part_id, Outcome.REJECT, 1 * MS)
        assert run_to(tracker, 0, 500 * MS, late_ms * MS)[0].action is action
    tracker = PartTracker(TIMING)
    tracker.decide(seen(tracker, 0).part_id, Outcome.PASS, 1 * MS)
    assert run_to(tracker, 0, 500 * MS, 8 * MS)[0].action is Action.UNKNOWN  # opened late, closed late: neither


def test_the_encoder_brings_a_part_to_the_arm() -> None:
    tracker = PartTracker(PartTiming(**{**vars_of(TIMING), "delay_counts": 500}))
    tracker.driven(True, 0)
    seen(tracker, 0, counts=1000)
    tracker.decide(0, Outcome.PASS, 10 * MS)
    tracker.encoder(1499, 300 * MS)
    assert tracker.rejecting(310 * MS)
    tracker.encoder(1500, 400 * MS)
    assert [tracker.rejecting(at * MS) for at in (400, 419, 420)] == [False, False, True]
    assert run_to(tracker, 400 * MS, 900 * MS)[0].action is Action.PASSED


def test_a_verdict_for_a_part_that_the_encoder_has_brought_to_the_arm_already_is_a_fault() -> None:
    tracker = PartTracker(PartTiming(**{**vars_of(TIMING), "delay_counts": 500}))
    seen(tracker, 0, counts=0)
    tracker.encoder(500, 30 * MS)
    assert tracker.decide(0, Outcome.PASS, 31 * MS) is Outcome.FAULT


def test_a_part_that_never_comes_to_the_arm_is_told() -> None:
    tracker = PartTracker(PartTiming(**{**vars_of(TIMING), "delay_counts": 500}))
    seen(tracker, 0, counts=0)
    tracker.decide(0, Outcome.PASS, 10 * MS)
    (finished,) = run_to(tracker, 10 * MS, 2000 * MS)
    assert (finished.part.outcome, finished.action) == (Outcome.FAULT, Action.UNKNOWN)


def test_what_is_left_when_the_program_ends_is_unknown() -> None:
    tracker = PartTracker(TIMING, first_part_id=10)
    seen(tracker, 0)
    assert [(one.part.part_id, one.action) for one in tracker.abandon()] == [(10, Action.UNKNOWN)]
    assert tracker.abandon() == []


@pytest.mark.parametrize(
    "wrong", [{"deadline": 101 * MS}, {"spacing": 21 * MS}, {"pulse": 4 * MS}], ids=["deadline", "spacing", "tolerance"]
)
def test_timings_that_cannot_hold_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="ns"):
        PartTiming(**{**vars_of(TIMING), **wrong})


class AnyLine(RuleBasedStateMachine):
    """Random triggers, verdicts, delays and faults over a clock of its own, and a line that follows without delay."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.said: dict[int, Outcome] = {}
        self.given: dict[int, Outcome] = {}
        self.accepted: list[int] = []
        self.gone: list[Finished] = []
        self.levels: list[tuple[int, bool]] = []

    @initialize(idle_rejects=st.booleans(), capacity=st.integers(1, 6))
    def begin(self, idle_rejects: bool, capacity: int) -> None:
        self.tracker = PartTracker(PartTiming(**{**vars_of(TIMING), "idle_rejects": idle_rejects, "capacity": capacity}))
        self.drive()

    def drive(self) -> None:
        level = self.tracker.rejecting(self.now)
        self.tracker.driven(level, self.now)
        self.levels.append((self.now, level))
        self.gone += self.tracker.finished()

    @rule(wait_ms=st.integers(0, 150))
    def time_passes(self, wait_ms: int) -> None:
        until = self.now + wait_ms * MS
        while (change := self.tracker.next_change_ns(self.now)) is not None and change <= until:
            self.now = change
            self.tracker.expire(self.now)
            self.drive()
        self.now = until
        self.drive()

    @rule()
    def a_part_comes(self) -> None:
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
            assert one.action is not Action.LATE
            if one.part.outcome is Outcome.PASS:
                assert self.given[one.part.part_id] is Outcome.PASS
                assert one.action is Action.PASSED
            else:
                assert one.action is Action.REJECTED

    def teardown(self) -> None:
        if hasattr(self, "tracker"):
            self.time_passes(2000)
            assert len(self.tracker) == 0
            self.each_part_has_one_action_and_only_a_good_one_is_passed()


AnyLine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None, derandomize=True)
test_any_line = AnyLine.TestCase
