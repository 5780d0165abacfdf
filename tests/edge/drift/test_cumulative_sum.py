from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge.drift.cumulative_sum import CumulativeSum

steps = st.lists(st.integers(-4, 4), max_size=200)


@given(steps)
def test_the_first_alarm_is_where_the_sum_is_a_limit_above_its_lowest_so_far(values: list[int]) -> None:
    sums = np.concatenate([[0], np.cumsum(values)])
    above = sums - np.minimum.accumulate(sums)
    expected = int(np.argmax(above >= 10)) - 1 if (above >= 10).any() else None
    test, alarm = CumulativeSum(10.0), None
    for part, value in enumerate(values):
        test.add(value, part)
        if test.raised and alarm is None:
            alarm = part
            assert test.since == int(len(above[: part + 2]) - 1 - np.argmax(above[: part + 2][::-1] == 0))
            assert test.length == part - test.since + 1
    assert alarm == expected


def test_it_clears_as_fast_after_a_year_of_alarm_as_after_a_minute() -> None:
    for parts in (20, 20_000):
        test = CumulativeSum(10.0)
        for part in range(parts):
            test.add(1.0, part)
        for part in range(19):
            test.add(-0.5, part)
        assert test.raised
        test.add(-0.5, 20)
        assert not test.raised


def test_evidence_is_a_hint_before_it_is_an_alarm() -> None:
    test = CumulativeSum(9.0)
    for part in range(3):
        assert not test.hinted
        test.add(1.0, part)
    assert test.hinted
    assert not test.raised
