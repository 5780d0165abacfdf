"""The gate between a checkpoint and what was exported of it."""

from __future__ import annotations

import numpy as np
import pytest

from tools.parity import Scored, compare, correlation, refusal

RANDOM = np.random.default_rng(0)
SCORES = np.linspace(1.0, 2.0, 32)[:, None].repeat(3, 1)
MAPS = RANDOM.normal(size=(32, 4, 4))
NAMES = [f"{index}.png" for index in range(32)]
REFERENCE = Scored(SCORES, MAPS)


def test_the_same_scores_pass() -> None:
    report = compare(REFERENCE, REFERENCE, NAMES, 1e-2)
    assert report["decision_flips"] == report["own_threshold_flips"] == 0
    assert report["lowest_map_correlation"] == pytest.approx(1)
    assert report["ties"] == ["15.png", "16.png"]
    assert refusal(report, 32) == ""


def test_scores_that_move_together_flip_at_the_median_and_not_at_their_own_threshold() -> None:
    report = compare(REFERENCE, Scored(SCORES + 0.1, MAPS), NAMES, 0.2)
    assert report["decision_flips"] == 3
    assert report["own_threshold_flips"] == 0
    assert refusal(report, 32).startswith("3 of 32 decisions differ from the checkpoint's, allowed 1 (close to the threshold: ")


def test_one_flip_may_be_and_two_may_not() -> None:
    one, two = SCORES.copy(), SCORES.copy()
    one[15], two[14:16] = 1.52, 1.52
    assert refusal(compare(REFERENCE, Scored(one, MAPS), NAMES, 0.2), 32) == ""
    assert "2 of 32" in refusal(compare(REFERENCE, Scored(two, MAPS), NAMES, 0.2), 32)


def test_a_difference_beyond_the_tolerance_is_refused_without_any_flip() -> None:
    assert "by up to 10.00%, allowed 1.00%" in refusal(compare(REFERENCE, Scored(SCORES * 1.1, MAPS), NAMES, 1e-2), 32)


@pytest.mark.parametrize("spoil", ["scores", "maps"])
def test_what_is_not_finite_is_refused(spoil: str) -> None:
    scores, maps = SCORES.copy(), MAPS.copy()
    {"scores": scores, "maps": maps}[spoil][3] = np.nan
    assert "not finite" in refusal(compare(REFERENCE, Scored(scores, maps), NAMES, 1e-2), 32)


def test_correlation_against_numpy() -> None:
    a, b = RANDOM.normal(size=(2, 5, 5))
    assert correlation(a, b) == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1])
    assert correlation(a, np.ones((5, 5))) == 0
