"""The tracker on a line that is driven by a clock that runs."""

from __future__ import annotations

import queue

import pytest

from edge.clock import SystemClock
from edge.errors import LineError
from edge.gpio.recording import RecordingLine
from edge.line.part_line import TrackedLine
from edge.line.part_tracker import Action, Finished, Part, PartTiming, PartTracker
from edge.line.reject_line import RejectLine
from edge.verdict import Outcome

MS = 1_000_000
TIMING = PartTiming(deadline=40 * MS, delay=60 * MS, pulse=80 * MS, debounce=0, spacing=110 * MS, tolerance=30 * MS)


class Bench:
    def __init__(self, line: RecordingLine | None = None, timing: PartTiming = TIMING) -> None:
        self.clock = SystemClock()
        self.output = line or RecordingLine("reject", True, self.clock)
        self.gone: queue.SimpleQueue[Finished] = queue.SimpleQueue()
        tracker = PartTracker(timing, self.gone.put)
        self.reject = RejectLine(self.output, tracker, self.clock)
        self.line = TrackedLine(tracker, self.reject)

    def seen(self) -> Part:
        part = self.line.trigger(self.clock.monotonic_ns())
        assert isinstance(part, Part)
        return part


def test_a_good_part_opens_the_line_in_its_window_by_itself_and_closes_it_again() -> None:
    bench = Bench()
    part = bench.seen()
    assert bench.line.decide(part.part_id, Outcome.PASS, "", 0) == (Outcome.PASS, "")
    finished = bench.gone.get(timeout=10)
    bench.line.close()
    assert finished.part.part_id == part.part_id
    (_, safe), (opened, passing), (closed, rejecting) = bench.output.changes
    assert (safe, passing, rejecting) == (True, False, True)
    assert part.begin_ns is not None
    assert part.end_ns is not None
    assert opened >= part.begin_ns  # never early
    assert closed >= part.end_ns
    late = opened - part.begin_ns
    if late < 30 * MS and closed - part.end_ns < 30 * MS:  # a machine that stood still is told, not hidden
        assert finished.action is Action.PASSED
    assert len(bench.reject.schedule_error) >= 2
    assert bench.reject.schedule_error.worst_ns >= late


def test_without_a_verdict_the_line_stays_at_reject_and_the_part_is_a_fault() -> None:
    bench = Bench()
    bench.seen()
    finished = bench.gone.get(timeout=10)
    bench.line.close()
    assert (finished.part.outcome, finished.action) == (Outcome.FAULT, Action.REJECTED)
    assert [value for _, value in bench.output.changes] == [True]


def test_what_is_in_flight_at_the_end_is_unknown_and_the_line_is_safe() -> None:
    bench = Bench()
    bench.line.decide(bench.seen().part_id, Outcome.PASS, "", 0)
    bench.line.close()
    assert bench.gone.get(timeout=1).action is Action.UNKNOWN
    assert bench.output.value is True
    assert bench.output.released


def test_all_in_flight_are_faults_when_something_is_found_out() -> None:
    bench = Bench()
    bench.line.decide(bench.seen().part_id, Outcome.PASS, "", 0)
    bench.line.fault_all("the machine was asleep")
    finished = bench.gone.get(timeout=10)
    bench.line.close()
    assert (finished.part.outcome, finished.part.reason) == (Outcome.FAULT, "the machine was asleep")
    assert finished.action is Action.REJECTED


class Broken(RecordingLine):
    def _set_impl(self, value: bool) -> None:
        if not value:
            raise LineError("reject: the chip is gone")
        super()._set_impl(value)


def test_a_line_that_cannot_be_opened_is_told_at_the_next_call_and_the_part_was_rejected() -> None:
    bench = Bench(Broken("reject", True, SystemClock()))
    bench.line.decide(bench.seen().part_id, Outcome.PASS, "", 0)
    assert bench.gone.get(timeout=10).action is Action.REJECTED
    with pytest.raises(LineError, match="chip is gone"):
        bench.seen()
    bench.line.close()
