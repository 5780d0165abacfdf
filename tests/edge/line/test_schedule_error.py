from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge.line.schedule_error import ScheduleError


@given(st.lists(st.integers(1_000, 3_000_000_000), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_a_quantile_is_never_too_small_and_at_most_six_percent_too_large(late: list[int], share: float) -> None:
    error = ScheduleError()
    for one in late:
        error.add(one)
    true = float(np.quantile(late, share, method="inverted_cdf"))
    assert len(error) == len(late)
    assert true <= error.quantile_ns(share) * 1.001
    if true < 900_000_000:
        assert error.quantile_ns(share) <= true * 1.062
    assert error.worst_ns == max(late)


def test_nothing_counted_is_told_as_such() -> None:
    assert ScheduleError().quantile_ns(0.5) == 0
    assert ScheduleError().describe().startswith("0 line changes")
