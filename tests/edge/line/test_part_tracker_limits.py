"""The tracker at the very nanosecond, where one comparison too wide or too narrow would let a part through or lose one."""

from __future__ import annotations

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
