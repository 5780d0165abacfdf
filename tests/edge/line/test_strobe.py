from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.clock import SystemClock
from edge.errors import LineError
from edge.gpio.recording import RecordingLine
from edge.line.strobe import CAPACITY, Strobe, StrobeSchedule

MS = 1_000_000


@given(
    pictures=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 40)), max_size=30),
    lead=st.integers(0, 20),
    duration=st.integers(1, 60),
)
def test_the_light_is_on_for_each_picture_and_at_no_other_time(pictures: list[tuple[int, int]], lead: int, duration: int) -> None:
    """Each is asked for so long before its exposure; the light as it is, against the light by definition."""
    asked = sorted((exposure, max(0, exposure - ahead)) for exposure, ahead in pictures)
    schedule, flashes, latest = StrobeSchedule(lead, duration), [], 0
    lit: list[int] = []
    queue = list(asked)
    for now in range(450):
        while queue and max(latest, queue[0][1]) <= now:
            exposure, _ = queue.pop(0)
            begin = max(exposure - lead, now)
            late = schedule.add(exposure, now)
            assert late == begin - (exposure - lead)
            flashes.append(begin)
            latest = now
        if schedule.on(now):
            lit.append(now)
        change = schedule.next_change_ns(now)
        if change is not None:
            assert change > now
    assert lit == sorted({time for begin in flashes for time in range(begin, begin + duration) if time < 450})


def test_pictures_out_of_order_and_too_many_are_refused() -> None:
    schedule = StrobeSchedule(1, 5)
    schedule.add(100, 0)
    with pytest.raises(ValueError, match="in the order"):
        schedule.add(50, 0)
    for index in range(CAPACITY - 1):
        schedule.add(101 + index, 0)
    with pytest.raises(ValueError, match="wait for their light"):
        schedule.add(1000, 0)
    assert schedule.next_change_ns(10_000) is None


class WatchedLine(RecordingLine):
    """Tells when the light went off, and can break."""

    def __init__(self) -> None:
        super().__init__("strobe", False, SystemClock())
        self.off = threading.Event()
        self.broken = 0

    def _set_impl(self, value: bool) -> None:
        if self.broken:
            self.broken -= 1
            raise RuntimeError("driver bug")
        super()._set_impl(value)
        if not value:
            self.off.set()


def test_the_light_is_on_ahead_of_the_exposure_and_off_in_time() -> None:
    line, clock = WatchedLine(), SystemClock()
    strobe = Strobe(line, lead_ms=5, duration_ms=10, clock=clock)
    exposure = clock.monotonic_ns() + 30 * MS
    strobe.fire(exposure)
    assert line.off.wait(5)
    strobe.close()
    strobe.close()
    (_, (on, on_value), (off, off_value)) = list(line.changes)
    assert (on_value, off_value) == (True, False)
    assert on >= exposure - 5 * MS
    assert off >= exposure + 5 * MS
    assert strobe.late == 0
    assert line.released


def test_a_light_without_its_lead_is_counted_and_still_given() -> None:
    line, clock = WatchedLine(), SystemClock()
    strobe = Strobe(line, lead_ms=1000, duration_ms=2, clock=clock)
    strobe.fire(clock.monotonic_ns())
    assert line.changes[-1][1] is True or line.off.is_set()
    assert line.off.wait(5)
    assert strobe.late == 1
    strobe.close()


def test_a_light_that_does_not_go_off_is_tried_again_and_then_no_more_given() -> None:
    line, clock = WatchedLine(), SystemClock()
    strobe = Strobe(line, lead_ms=0, duration_ms=20, clock=clock)
    strobe.fire(clock.monotonic_ns())
    assert line.value is True
    line.broken = 2
    assert line.off.wait(5)
    assert line.value is False
    with pytest.raises(LineError, match="driver bug"):
        strobe.fire(clock.monotonic_ns())
    strobe.close()
    assert line.value is False


def test_pictures_asked_for_out_of_order_are_told_by_their_line() -> None:
    line, clock = WatchedLine(), SystemClock()
    strobe = Strobe(line, 0, 1, clock)
    strobe.fire(clock.monotonic_ns() + 60_000 * MS)
    with pytest.raises(LineError, match="strobe: pictures must be asked for in the order"):
        strobe.fire(clock.monotonic_ns())
    strobe.close()


def test_without_a_line_it_does_nothing() -> None:
    strobe = Strobe(None, 1, 1, SystemClock())
    strobe.fire(0)
    strobe.close()
    assert (strobe.late, strobe.failure) == (0, None)
    assert not strobe._thread.is_alive()
