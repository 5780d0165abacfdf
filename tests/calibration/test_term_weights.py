from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.errors import TooFewImagesError
from calibration.term_weights import weigh_terms

SCORES = st.lists(st.floats(0.125, 1e3, width=32), min_size=5, max_size=40, unique=True)
L1, L2 = np.array([1, 2, 3], np.float32), np.array([10, 10, 40], np.float32)


def spread(values: np.ndarray) -> float:
    return float(np.std(values, ddof=1))


def test_one_group_by_hand() -> None:
    terms = np.stack([L1, L2], axis=1)
    assert weigh_terms(terms, [1.0, 1.0], "mean") == ([1.0], pytest.approx(1 / 2), pytest.approx(1 / 20))
    assert weigh_terms(terms, [1.0, 0.5]) == ([1.0], pytest.approx(1 / spread(L1)), pytest.approx(0.5 / spread(L2)))


def test_two_groups_add_up_to_standardised_terms_times_their_reliability() -> None:
    other = np.array([5, 9, 4], np.float32)
    groups, first, second = weigh_terms(np.stack([L1, other, L2], axis=1), [1.0, 0.25, 0.5])
    joint = first * (groups[0] * L1 + groups[1] * other) + second * L2
    assert joint == pytest.approx(L1 / spread(L1) + 0.25 * other / spread(other) + 0.5 * L2 / spread(L2))
    groups, first, second = weigh_terms(np.stack([L1, other, L2], axis=1), [1.0, 0.25, 0.5], "mean")
    assert first * (groups[0] * L1 + groups[1] * other).mean() == pytest.approx(1)
    assert second == pytest.approx(1 / 20)


@given(SCORES, st.floats(0.01, 100), st.sampled_from(["mean", "spread"]))
def test_the_joint_score_does_not_depend_on_the_unit_of_either(values: list[float], unit: float, rule: str) -> None:
    l1 = np.array(values, np.float64)
    _, *first = weigh_terms(np.stack([l1, l1], axis=1), [1.0, 1.0], rule)  # type: ignore[arg-type]
    _, *second = weigh_terms(np.stack([l1, l1 * unit], axis=1), [1.0, 1.0], rule)  # type: ignore[arg-type]
    assert second[0] == first[0]
    assert second[1] * unit == pytest.approx(first[1], rel=1e-3)


def test_a_score_that_does_not_vary_has_a_finite_weight() -> None:
    weights = weigh_terms(np.stack([np.ones(5), np.zeros(5)], axis=1), [1.0, 1.0])
    assert np.isfinite(weights[1:]).all()
    with pytest.raises(TooFewImagesError):
        weigh_terms(np.ones((1, 2)), [1.0, 1.0])
