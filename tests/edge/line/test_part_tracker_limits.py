"""The tracker at the very nanosecond, where one comparison too wide or too narrow would let a part through or lose one."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from edge.line.part_tracker import Action, Finished, PartTiming, PartTracker, Refusal
from edge.verdict import Outcome

MS = 1_000_000
TIMING = PartTiming(
    deadline=80 * MS, delay=100 * MS, pulse=20 * MS, debounce=2 * MS, spacing=30 * MS, tolerance=2 * MS, travel_limit=1000 * MS,
    delay_counts=500,
)  # fmt: skip


def tracked(first_part_id: int = 0) -> tuple[PartTracker, list[Finished]]:
    gone: list[Finished] = []
    return PartTracker(TIMING, gone.append, first_part_id), gone


def test_a_second_trigger_of_the_same_moment_is_a_bounce_and_harms_no_part() -> None:
    tracker, _ = tracked()
    tracker.trigger(5 * MS, 0)
    assert tracker.trigger(5 * MS, 0) is Refusal.DOUBLE
    assert [part.outcome for part in tracker.in_flight()] == [None]


def test_a_part_on_its_way_to_the_arm_is_due_at_its_deadline_and_when_it_took_too_long() -> None:
    tracker, _ = tracked()
    tracker.trigger(5 * MS, 0)
    assert tracker.next_change_ns(5 * MS) == 85 * MS + 1
    assert tracker.next_change_ns(85 * MS + 1) == 1005 * MS
    assert tracker.next_change_ns(1005 * MS) is None


def test_a_bounce_is_told_by_the_time_between_and_a_late_verdict_by_the_time_since() -> None:
    tracker, gone = tracked()
    tracker.trigger(50 * MS, 0)
    assert tracker.trigger(51 * MS, 0) is Refusal.DOUBLE
    reason = "no verdict within 80 ms of the trigger, 81 ms passed"
    assert tracker.decide(0, Outcome.PASS, 131 * MS) == (Outcome.FAULT, reason)
    tracker.abandon()
    assert gone[0].part.reason == reason


def test_a_verdict_of_another_part_is_not_taken_for_the_next_one() -> None:
    tracker, _ = tracked(10)
    tracker.trigger(5 * MS, 0)
    assert tracker.decide(9, Outcome.PASS, 6 * MS)[0] is Outcome.FAULT
    assert [part.outcome for part in tracker.in_flight()] == [None]


def test_a_part_stays_in_flight_until_its_travel_took_too_long() -> None:
    tracker, gone = tracked()
    tracker.trigger(5 * MS, 0)
    for now, in_flight in ((6 * MS, 1), (1005 * MS - 1, 1), (1005 * MS, 0)):
        tracker.driven(True, now)
        assert len(tracker) == in_flight
        assert len(gone) == 1 - in_flight


def test_a_part_that_never_came_is_gone_also_when_nobody_looked_at_the_very_moment() -> None:
    tracker, gone = tracked()
    tracker.trigger(5 * MS, 0)
    tracker.driven(True, 1005 * MS + 1)
    assert [one.action for one in gone] == [Action.UNKNOWN]


FIXED = PartTiming(deadline=80 * MS, delay=100 * MS, pulse=20 * MS, debounce=2 * MS, spacing=30 * MS, tolerance=3 * MS)
LATER = 3_000_000_000_000_001
"""As a machine that has run for a while counts, and odd: sums and differences of small numbers hide much."""


def fixed(first_part_id: int = 0) -> tuple[PartTracker, list[Finished]]:
    gone: list[Finished] = []
    return PartTracker(FIXED, gone.append, first_part_id), gone


def test_parts_too_close_are_faults_both_and_no_other_part_is() -> None:
    tracker, _ = fixed(1000)
    for at in (0, 40 * MS, 70 * MS - 1, 100 * MS - 1):
        tracker.trigger(LATER + at)
    assert [part.part_id for part in tracker.in_flight()] == [1000, 1001, 1002, 1003]
    assert [part.outcome for part in tracker.in_flight()] == [None, Outcome.FAULT, Outcome.FAULT, None]
    gap = f"after {(30 * MS - 1) / 1e6:g} ms, too close to be told apart at the arm"
    assert [part.reason for part in tracker.in_flight()][1:3] == [
        f"the next part followed {gap}",
        f"it followed the last part {gap}",
    ]


def test_a_verdict_goes_to_its_part_also_among_large_numbers() -> None:
    tracker, _ = fixed(10_000)
    for step in range(3):
        tracker.trigger(LATER + 40 * MS * step)
    assert tracker.decide(int("10001"), Outcome.PASS, LATER + 90 * MS)[0] is Outcome.PASS
    assert [part.outcome for part in tracker.in_flight()] == [None, Outcome.PASS, None]


def test_numbers_begin_at_nought_where_nobody_says() -> None:
    tracker = PartTracker(FIXED, lambda _: None)
    assert tracker.trigger(LATER) == tracker.in_flight()[0]
    assert tracker.in_flight()[0].part_id == 0
    assert (FIXED.capacity, FIXED.travel_limit) == (64, 60_000 * MS)


def test_a_verdict_at_the_moment_of_the_deadline_counts_and_one_at_the_arm_does_not() -> None:
    tracker, _ = fixed()
    tracker.trigger(LATER)
    assert tracker.next_change_ns(LATER) == LATER + 80 * MS + 1
    assert tracker.decide(0, Outcome.PASS, LATER + 80 * MS)[0] is Outcome.PASS
    as_long = PartTracker(PartTiming(100 * MS, 100 * MS, 20 * MS, 2 * MS, 30 * MS, 3 * MS), lambda _: None)
    as_long.trigger(LATER)
    assert as_long.decide(0, Outcome.PASS, LATER + 100 * MS)[0] is Outcome.FAULT
    reason = as_long.in_flight()[0].reason
    assert reason == "no verdict within 100 ms of the trigger, 100 ms passed"


def test_a_late_verdict_is_told_in_whole_milliseconds() -> None:
    tracker, _ = tracked()
    tracker.trigger(LATER, 0)
    assert tracker.decide(0, Outcome.PASS, LATER + 999_600_000)[1].endswith("80 ms of the trigger, 1000 ms passed")


def test_the_first_part_leaves_at_the_end_of_its_own_window() -> None:
    tracker, gone = fixed()
    for step in range(2):
        tracker.trigger(LATER + 40 * MS * step)
        tracker.decide(step, Outcome.PASS, LATER + 40 * MS * step)
    tracker.driven(True, LATER + 120 * MS - 1)
    assert gone == []
    tracker.driven(True, LATER + 120 * MS)
    assert [one.part.part_id for one in gone] == [0]


def test_an_encoder_that_jumps_past_the_arm_has_brought_the_part_there() -> None:
    tracker, _ = tracked()
    tracker.trigger(LATER, 100)
    tracker.encoder(599, LATER + MS)
    assert tracker.in_flight()[0].begin_ns is None
    tracker.encoder(640, LATER + 2 * MS)
    assert tracker.in_flight()[0].begin_ns == LATER + 2 * MS


@pytest.mark.parametrize(
    ("passed_ns", "good", "action"),
    [
        (20 * MS, True, Action.PASSED),
        (17 * MS, True, Action.PASSED),
        (17 * MS - 1, True, Action.UNKNOWN),
        (3 * MS + 1, True, Action.UNKNOWN),
        (3 * MS, True, Action.REJECTED),
        (3 * MS, False, Action.REJECTED),
        (3 * MS + 1, False, Action.LATE),
        (0, False, Action.REJECTED),
    ],
)
def test_an_action_is_what_the_line_said_to_the_nanosecond(passed_ns: int, good: bool, action: Action) -> None:
    tracker, gone = fixed()
    tracker.trigger(LATER)
    tracker.decide(0, Outcome.PASS if good else Outcome.REJECT, LATER)
    begin = LATER + 100 * MS
    for before in (50 * MS, 60 * MS):  # long before the window, which it must not be counted to
        tracker.driven(False, LATER + before)
    tracker.driven(False, begin)
    tracker.driven(True, begin + passed_ns)
    tracker.driven(True, begin + 20 * MS)
    assert [(one.action, one.part.passed_ns) for one in gone] == [(action, passed_ns)]


def test_a_line_that_was_never_driven_has_said_reject() -> None:
    tracker, gone = fixed()
    tracker.trigger(0)
    tracker.decide(0, Outcome.PASS, MS)
    tracker.driven(True, 120 * MS)
    assert [(one.action, one.part.passed_ns) for one in gone] == [(Action.REJECTED, 0)]


def test_a_spacing_of_pulse_and_tolerance_is_enough() -> None:
    assert PartTiming(MS, MS, 20 * MS, MS, 23 * MS, 3 * MS).spacing == 23 * MS
    with pytest.raises(ValueError, match="cannot be told apart"):
        PartTiming(MS, MS, 20 * MS, MS, 23 * MS - 1, 3 * MS)


def test_what_left_the_arm_stays_as_it_was() -> None:
    tracker, gone = fixed()
    tracker.trigger(LATER)
    tracker.abandon()
    with pytest.raises(FrozenInstanceError):
        gone[0].action = Action.PASSED  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        FIXED.pulse = 1  # type: ignore[misc]


def test_a_trigger_at_the_end_of_the_debounce_is_another_part() -> None:
    tracker, _ = fixed()
    tracker.trigger(LATER)
    assert tracker.trigger(LATER + 2 * MS - 1) is Refusal.DOUBLE
    tracker.trigger(LATER + 2 * MS)
    assert [part.outcome for part in tracker.in_flight()] == [Outcome.FAULT, Outcome.FAULT]


@pytest.mark.parametrize("tolerance", [10 * MS, 11 * MS])
def test_a_pulse_must_leave_something_between_its_tolerances(tolerance: int) -> None:
    assert PartTiming(MS, MS, 20 * MS, MS, 60 * MS, 10 * MS - 1).pulse == 20 * MS
    with pytest.raises(ValueError, match="longer than twice the tolerance"):
        PartTiming(MS, MS, 20 * MS, MS, 60 * MS, tolerance)
