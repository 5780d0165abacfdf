from __future__ import annotations

import sys
import threading

import pytest

from edge.clock import SystemClock
from edge.errors import LineError
from edge.gpio.recording import RecordingLine
from edge.line.part_line import FreeLine
from edge.line.real_time import SWITCH_S
from edge.line.reject_gate import RejectGate
from edge.line.reject_line import RejectLine
from edge.verdict import Outcome


class WatchedLine(RecordingLine):
    """A recording line that tells when it was driven to reject, and can break."""

    def __init__(self) -> None:
        super().__init__("reject", True, SystemClock())
        self.rejected = threading.Event()
        self.broken = 0
        self.error: Exception = LineError("reject: the chip is gone")

    def _set_impl(self, value: bool) -> None:
        if self.broken:
            self.broken -= 1
            raise self.error
        super()._set_impl(value)
        if value:
            self.rejected.set()


def free_line(line: WatchedLine, pulse_ms: int, valid_ms: int) -> FreeLine:
    gate = RejectGate(pulse_ms, valid_ms)
    return FreeLine(gate, RejectLine(line, gate, SystemClock()))


def decide(line: FreeLine, outcome: Outcome) -> None:
    assert line.decide(0, outcome, "", SystemClock().monotonic_ns()) == (outcome, "")


def test_a_pass_that_is_not_renewed_falls_back_to_reject_by_itself() -> None:
    line = WatchedLine()
    reject = free_line(line, 1, 5)
    decide(reject, Outcome.PASS)
    assert line.rejected.wait(5)
    assert line.value is True
    reject.close()
    (first, safe), (opened, passed), (closed, rejected) = line.changes
    assert (safe, passed, rejected) == (True, False, True)
    assert first <= opened
    assert closed - opened >= 5_000_000


def test_closing_leaves_reject_and_gives_the_line_back() -> None:
    line = WatchedLine()
    reject = free_line(line, 1, 60_000)
    decide(reject, Outcome.PASS)
    assert line.value is False
    reject.close()
    reject.close()
    assert line.value is True
    assert line.released


def test_a_line_that_cannot_be_driven_is_told() -> None:
    line = WatchedLine()
    reject = free_line(line, 1, 60_000)
    line.broken = 1_000_000
    with pytest.raises(LineError, match="chip is gone"):
        decide(reject, Outcome.PASS)
    line.broken = 0
    reject.close()


@pytest.mark.parametrize("error", [LineError("reject: input/output error"), RuntimeError("driver bug")])
def test_a_write_that_fails_at_fall_back_is_tried_again_until_it_rejects(error: Exception) -> None:
    line = WatchedLine()
    line.error = error
    reject = free_line(line, 1, 20)
    decide(reject, Outcome.PASS)
    line.broken = 2
    assert line.rejected.wait(5)
    assert line.value is True
    with pytest.raises(LineError):
        decide(reject, Outcome.PASS)
    assert line.value is True
    reject.close()


def test_a_driver_that_blocks_does_not_hold_up_the_end_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.line.reject_line.CLOSE_S", 0.05)
    line, go_on, blocked = WatchedLine(), threading.Event(), threading.Event()

    def stuck(value: bool) -> None:
        blocked.set()
        go_on.wait(10)

    reject = free_line(line, 1, 20)
    decide(reject, Outcome.PASS)
    line._set_impl = stuck  # type: ignore[method-assign]
    assert blocked.wait(5)
    with pytest.raises(LineError, match="driver blocks"):
        reject.close()
    go_on.set()
    reject._line._thread.join(5)


def test_the_lines_thread_waits_no_longer_for_the_interpreter_than_the_line_may_be_late() -> None:
    before = sys.getswitchinterval()
    try:
        sys.setswitchinterval(0.005)
        line = RejectLine(None, RejectGate(100, 500), SystemClock(), first=True)
        line.close()
        assert sys.getswitchinterval() <= SWITCH_S
    finally:
        sys.setswitchinterval(before)


def test_who_throws_on_hearing_of_a_part_that_left_leaves_the_line_at_reject() -> None:
    line, clock = WatchedLine(), SystemClock()
    gate = RejectGate(1, 60_000)
    driven, threw = gate.driven, threading.Event()

    def throwing(rejecting: bool, at_ns: int) -> None:
        driven(rejecting, at_ns)
        if not rejecting:
            threw.set()
            raise RuntimeError("no room")

    gate.driven = throwing  # type: ignore[method-assign]
    reject = FreeLine(gate, RejectLine(line, gate, clock))
    with pytest.raises(LineError, match="unexpected RuntimeError: no room"):
        decide(reject, Outcome.PASS)
    assert threw.is_set()
    assert line.rejected.wait(5)
    assert line.value is True
    reject.close()
