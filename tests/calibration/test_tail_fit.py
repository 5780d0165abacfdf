from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from calibration.tail_fit import MINIMUM_IMAGES, TAIL_SHARE, tail_limit


@given(st.integers(0, 500), st.floats(0.001, 100), st.floats(-50, 50))
def test_the_limit_follows_unit_and_zero_and_is_never_below_a_score(seed: int, unit: float, zero: float) -> None:
    scores = np.random.default_rng(seed).gamma(2.0, size=MINIMUM_IMAGES)
    limit = tail_limit(scores, 0.005, 0.95)
    assert limit >= scores.max()
    assert tail_limit(scores * unit + zero, 0.005, 0.95) == pytest.approx(limit * unit + zero, rel=1e-6, abs=1e-6 * unit)


def test_a_rarer_rate_and_more_confidence_go_further_out() -> None:
    scores = np.random.default_rng(3).normal(size=200)
    limits = [tail_limit(scores, rate, 0.95) for rate in (0.01, 0.005, 0.001)]
    assert limits == sorted(limits)
    assert tail_limit(scores, 0.005, 0.99) > tail_limit(scores, 0.005, 0.9)


def test_with_many_scores_it_nears_the_true_quantile_and_scipys_fit() -> None:
    scores = stats.genpareto.rvs(0.1, size=4000, random_state=7)
    limit = tail_limit(scores, 5e-5, 0.6)
    tail = np.sort(scores)[-round(TAIL_SHARE * len(scores)) :]
    floor = np.sort(scores)[-round(TAIL_SHARE * len(scores)) - 1]
    shape, _, scale = stats.genpareto.fit(tail - floor, floc=0)
    fitted = floor + stats.genpareto.ppf(1 - 5e-5 / TAIL_SHARE, shape, scale=scale)
    assert max(fitted, scores.max()) <= limit < 1.6 * fitted


def test_a_tail_of_one_value_is_that_value() -> None:
    assert tail_limit(np.r_[np.zeros(30), np.ones(30)], 0.005, 0.95) == 1.0


@pytest.mark.parametrize("distribution", [stats.norm(), stats.t(3), stats.beta(2, 3)])
def test_it_is_seldom_passed(distribution: stats.rv_continuous) -> None:
    random = np.random.default_rng(0)
    passed = [distribution.sf(tail_limit(distribution.rvs(100, random_state=random), 0.005, 0.95)) > 0.005 for _ in range(100)]
    assert np.mean(passed) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 100)
