from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.errors import TooFewImagesError
from calibration.term_weights import term_weights

SCORES = st.lists(st.floats(0.125, 1e3, width=32), min_size=5, max_size=40, unique=True)


def test_the_two_rules_by_hand() -> None:
    l1, l2 = np.array([1, 2, 3], np.float32), np.array([10, 10, 40], np.float32)
    assert term_weights(l1, l2, "mean") == pytest.approx((1 / 2, 1 / 20))
    assert term_weights(l1, l2, "spread") == pytest.approx((1 / np.std(l1, ddof=1), 1 / np.std(l2, ddof=1)))


@given(SCORES, st.floats(0.01, 100), st.sampled_from(["mean", "spread"]))
def test_the_joint_score_does_not_depend_on_the_unit_of_either(values: list[float], unit: float, rule: str) -> None:
    l1 = np.array(values, np.float64)
    first = term_weights(l1, l1, rule)  # type: ignore[arg-type]
    second = term_weights(l1, l1 * unit, rule)  # type: ignore[arg-type]
    assert second[0] == first[0]
    assert second[1] * unit == pytest.approx(first[1], rel=1e-3)


def test_a_score_that_does_not_vary_has_a_finite_weight() -> None:
    assert np.isfinite(term_weights(np.ones(5, np.float32), np.zeros(5, np.float32))).all()
    with pytest.raises(TooFewImagesError):
        term_weights(np.ones(1, np.float32), np.ones(1, np.float32))
