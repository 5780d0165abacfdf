from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.drift.baseline_rank import BaselineRank

LEVELS = np.linspace(0, 1, 21)
figures = st.floats(-1e3, 1e3)


def of(sample: np.ndarray, resolution: float = 0.0) -> BaselineRank:
    return BaselineRank(list(np.quantile(sample, LEVELS)), resolution)


@given(st.lists(st.floats(), min_size=2, max_size=30), st.floats(), st.floats(0, 1e300))
def test_any_value_and_any_baseline_give_a_number_between_minus_one_and_one(
    quantiles: list[float], value: float, resolution: float
) -> None:
    finite = sorted(one for one in quantiles if not math.isnan(one)) or [0.0, 0.0]
    assert -1.0 <= BaselineRank(finite, resolution).rank(value) <= 1.0


@given(
    st.lists(st.integers(-1000, 1000), min_size=21, max_size=21),
    st.integers(-1500, 1500),
    st.sampled_from([0.25, 0.5, 2.0, 8.0, 1024.0]),
    st.integers(-4096, 4096),
    st.integers(0, 50),
)
def test_another_unit_and_zero_change_nothing(quantiles: list[int], value: int, unit: float, zero: int, resolution: int) -> None:
    """Powers of two and whole numbers, so that floating point is exact and ties stay ties."""
    plain = BaselineRank(sorted(map(float, quantiles)), resolution).rank(value)
    moved = BaselineRank([unit * one + zero for one in sorted(quantiles)], unit * resolution).rank(unit * value + zero)
    assert moved == pytest.approx(plain, abs=1e-12)


@given(st.lists(figures, min_size=21, max_size=21), figures, figures)
def test_a_higher_figure_never_ranks_lower(quantiles: list[float], one: float, other: float) -> None:
    rank = BaselineRank(sorted(quantiles)).rank
    assert rank(min(one, other)) <= rank(max(one, other)) + 1e-12


@pytest.mark.parametrize("resolution", [0.0, 0.3])
@pytest.mark.parametrize("shape", ["normal", "heavy", "ties", "constant"])
def test_parts_like_the_baseline_rank_zero_on_average(shape: str, resolution: float) -> None:
    random = np.random.default_rng(5)
    draw = {
        "normal": lambda n: random.normal(size=n),
        "heavy": lambda n: random.standard_t(2, size=n),
        "ties": lambda n: random.choice([0.0, 0.0, 0.0, 1.0, 5.0], size=n),
        "constant": lambda n: np.zeros(n),
    }[shape]
    rank = of(draw(20_000), resolution)
    values = np.array([rank.rank(value) for value in draw(20_000)])
    assert abs(values.mean()) < (0.05 if shape == "ties" else 0.015)
    assert values.var() < 1 / 3 + 0.01


def test_a_figure_that_never_varied_has_no_scale_unless_one_is_given() -> None:
    assert not BaselineRank([3.0] * 21).varies
    assert not BaselineRank(list(np.linspace(1.0, 1.0 + 1e-9, 21))).varies
    constant = BaselineRank([0.0] * 21, 0.01)
    assert constant.varies
    assert constant.rank(0.005) == 0.0
    assert constant.rank(0.02) == 1.0
    assert constant.rank(-0.02) == -1.0
