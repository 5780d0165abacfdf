from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.decision import decide
from edge.verdict import Outcome, Scores

ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)


def scores(value: float, **other: float) -> Scores:
    plain = {
        "feature_score": 1.0,
        "reconstruction_score": 1.0,
        "map_mean": 1.0,
        "brightness": 0.5,
        "saturation": 0.0,
        "sharpness": 10.0,
    }
    return Scores(score=value, **(plain | other))


def test_a_score_at_the_threshold_is_anomalous() -> None:
    assert decide(scores(2.0), 2.0)[0] is Outcome.REJECT
    assert decide(scores(math.nextafter(2.0, 0)), 2.0)[0] is Outcome.PASS


@given(ANY_FLOAT, ANY_FLOAT, ANY_FLOAT, ANY_FLOAT)
def test_only_finite_figures_below_a_finite_threshold_pass(value: float, threshold: float, l1: float, brightness: float) -> None:
    outcome, reason = decide(scores(value, feature_score=l1, brightness=brightness), threshold)
    finite = all(map(math.isfinite, (value, threshold, l1, brightness)))
    assert (outcome is Outcome.PASS) == (finite and value < threshold)
    assert (outcome is Outcome.FAULT) == (not finite)
    assert (reason == "") == (outcome is Outcome.PASS)


@pytest.mark.parametrize("name", ["feature_score", "reconstruction_score", "map_mean", "brightness", "saturation", "sharpness"])
def test_any_figure_that_is_not_a_number_is_a_fault(name: str) -> None:
    assert decide(scores(0.0, **{name: math.nan}), 1.0)[0] is Outcome.FAULT
