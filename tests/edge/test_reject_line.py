from __future__ import annotations

import threading

import pytest

from edge.clock import SystemClock
from edge.errors import LineError
from edge.gpio.recording import RecordingLine
from edge.reject_gate import RejectGate
from edge.reject_line import RejectLine
from edge.verdict import Outcome


class WatchedLine(RecordingLine):
    """A recording line that tells when it was driven to reject, and can break."""

    def __init__(self) -> None:
        super().__init__("reject", True, SystemClock())
        self.rejected = threading.Event()
        self.broken = False

    def _set_impl(self, value: bool) -> None:
        if self.broken:
            raise LineError("reject: the chip is gone")
        super()._set_impl(value)
        if value:
            self.rejected.set()


def test_a_pass_that_is_not_renewed_falls_back_to_reject_by_itself() -> None:
    line = WatchedLine()
    reject = RejectLine(line, RejectGate(reject_pulse_ms=1, pass_valid_ms=5), SystemClock())
    reject.apply(Outcome.PASS)
    assert line.rejected.wait(5)
    assert line.value is True
    reject.close()
    (first, safe), (opened, passed), (closed, rejected) = line.changes
    assert (safe, passed, rejected) == (True, False, True)
    assert first <= opened
    assert closed - opened >= 5_000_000


def test_closing_leaves_reject_and_gives_the_line_back() -> None:
    line = WatchedLine()
    reject = RejectLine(line, RejectGate(1, 60_000), SystemClock())
    reject.apply(Outcome.PASS)
    assert line.value is False
    reject.close()
    reject.close()
    assert line.value is True
    assert line.released


def test_a_line_that_cannot_be_driven_is_told() -> None:
    line = WatchedLine()
    reject = RejectLine(line, RejectGate(1, 60_000), SystemClock())
    line.broken = True
    with pytest.raises(LineError, match="chip is gone"):
        reject.apply(Outcome.PASS)
    line.broken = False
    reject.close()


def test_a_line_that_breaks_while_nobody_asks_is_told_at_the_next_verdict() -> None:
    line = WatchedLine()
    reject = RejectLine(line, RejectGate(1, 5), SystemClock())
    reject.apply(Outcome.PASS)
    line.broken = True
    reject._thread.join(5)
    with pytest.raises(LineError, match="chip is gone"):
        reject.apply(Outcome.PASS)
    line.broken = False
    reject.close()
