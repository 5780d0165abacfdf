from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.clock import SystemClock
from edge.errors import LineError
from edge.gpio.recording import RecordingLine
from edge.line.heartbeat_line import Heartbeat, HeartbeatLine


class WatchedLine(RecordingLine):
    """Tells when it has changed so many times, and can break."""

    def __init__(self, changes: int) -> None:
        super().__init__("heartbeat", False, SystemClock())
        self.reached = threading.Event()
        self._changes = changes
        self.error: Exception | None = None

    def _set_impl(self, value: bool) -> None:
        if self.error is not None:
            raise self.error
        super()._set_impl(value)
        if len(self.changes) > self._changes:
            self.reached.set()


@given(
    half=st.integers(1, 50),
    patience=st.integers(1, 200),
    beats=st.lists(st.integers(0, 1000), max_size=8),
    late=st.lists(st.integers(0, 120), min_size=1, max_size=30),
)
def test_it_changes_no_faster_than_its_period_and_only_while_it_is_beaten(
    half: int, patience: int, beats: list[int], late: list[int]
) -> None:
    """The thread that steps it comes ``late`` each time."""
    heartbeat, now, waiting = Heartbeat(half, patience), 0, sorted(beats)
    last_beat: int | None = None
    changed_at: list[int] = []
    value = False
    for delay in late * 3:
        while waiting and waiting[0] <= now:
            last_beat = waiting.pop(0)
            heartbeat.beat(last_beat)
        due = heartbeat.step(now)
        beaten = last_beat is not None and now - last_beat <= patience
        if heartbeat.value != value:
            value = heartbeat.value
            assert beaten or not value
            if beaten:
                changed_at.append(now)
        assert beaten or not heartbeat.value
        assert now < due <= now + half
        now = due + delay


def test_it_keeps_time_when_it_is_called_late() -> None:
    heartbeat = Heartbeat(10, 1000)
    heartbeat.beat(0)
    seen = []
    for now in (0, 12, 20, 31, 55, 60):
        due = heartbeat.step(now)
        seen.append((heartbeat.value, due))
    assert seen == [(True, 10), (False, 20), (True, 30), (False, 40), (True, 60), (False, 70)]


def test_the_line_toggles_while_beaten_stands_still_otherwise_and_is_left_safe() -> None:
    line = WatchedLine(6)
    heartbeat = HeartbeatLine(line, period_ms=4, patience_ms=60_000, clock=SystemClock())
    assert not line.reached.wait(0.03)
    assert len(line.changes) == 1
    heartbeat.beat()
    assert line.reached.wait(5)
    heartbeat.close()
    heartbeat.close()
    assert line.value is False
    assert line.released
    values = [value for _, value in line.changes]
    assert values[:6] == [False, True] * 3


def test_a_program_that_hangs_stops_it() -> None:
    line = WatchedLine(3)
    heartbeat = HeartbeatLine(line, period_ms=4, patience_ms=30, clock=SystemClock())
    heartbeat.beat()
    assert line.reached.wait(5)
    before = line.changes[1][0]
    heartbeat._thread.join(0.2)
    assert line.value is False
    assert line.changes[-1][0] - before < 150e6
    heartbeat.close()


@pytest.mark.parametrize("error", [LineError("the chip is gone"), RuntimeError("driver bug")])
def test_a_line_that_cannot_be_driven_stands_still_and_is_told(error: Exception) -> None:
    line = WatchedLine(1)
    line.error = error
    heartbeat = HeartbeatLine(line, period_ms=2, patience_ms=1000, clock=SystemClock())
    heartbeat.beat()
    heartbeat._thread.join(5)
    assert not heartbeat._thread.is_alive()
    assert str(error) in str(heartbeat.failure)
    line.error = None
    heartbeat.close()
    assert line.released


def test_without_a_line_it_does_nothing() -> None:
    heartbeat = HeartbeatLine(None, 100, 100, SystemClock())
    heartbeat.beat()
    heartbeat.close()
    assert heartbeat.failure is None
    assert not heartbeat._thread.is_alive()
