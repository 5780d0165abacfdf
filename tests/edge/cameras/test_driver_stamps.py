from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cameras.driver_stamps import AHEAD_NS, OLDEST_NS, DriverStamps

NOW = 5_000_000_000_000


def test_a_stamp_shortly_before_the_arrival_is_the_exposure() -> None:
    assert DriverStamps().take((NOW - 33_000_000) / 1e6, NOW) == (NOW - 33_000_000, NOW - 33_000_000)


@pytest.mark.parametrize(
    "stamp_ms",
    [
        0.0,
        -1.0,
        math.nan,
        math.inf,
        1_700_000_000_000.0,
        5000.0,
        (NOW + AHEAD_NS + 1_000_000) / 1e6,
        (NOW - OLDEST_NS - 1_000_000) / 1e6,
    ],
    ids=["none", "no such property", "nan", "inf", "time of day", "since the stream began", "to come", "too old"],
)
def test_a_stamp_of_another_clock_is_not_believed(stamp_ms: float) -> None:
    stamps = DriverStamps()
    assert stamps.take(stamp_ms, NOW) == (NOW, None)
    assert not stamps.trusted


def test_once_trusted_an_old_stamp_is_an_old_frame() -> None:
    """A driver that hung gives what it had: its arrival would let it count as exposed after a trigger."""
    stamps = DriverStamps()
    stamps.take((NOW - 1_000_000) / 1e6, NOW)
    later = NOW + 60_000_000_000
    assert stamps.take(NOW / 1e6, later) == (NOW, NOW)


@given(st.lists(st.floats(-1e13, 1e13), min_size=1, max_size=20))
def test_no_frame_is_exposed_after_it_came(stamps_ms: list[float]) -> None:
    stamps = DriverStamps()
    assert all(stamps.take(stamp, NOW + i)[0] <= NOW + i for i, stamp in enumerate(stamps_ms))


def test_a_first_stamp_a_little_ahead_is_of_the_same_clock_and_the_frame_as_old_as_its_arrival() -> None:
    stamps = DriverStamps()
    ahead = NOW + AHEAD_NS
    assert stamps.take(ahead / 1e6, NOW) == (NOW, ahead)
    assert stamps.trusted
