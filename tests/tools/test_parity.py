"""The gate between a checkpoint and what was exported of it."""

from __future__ import annotations

import numpy as np
import pytest

from tools.parity import Scored, compare, correlation, refusal

RANDOM = np.random.default_rng(0)
SCORES = np.linspace(1.0, 2.0, 32)[:, None].repeat(3, 1)
MAPS = RANDOM.normal(size=(32, 4, 4))
NAMES = [f"{index}.png" for index in range(32)]
PICTURES = RANDOM.uniform(size=(32, 4, 4, 3))
REFERENCE = Scored(SCORES, MAPS, PICTURES)


def test_the_same_scores_pass() -> None:
    report = compare(REFERENCE, REFERENCE, NAMES, "fp16")
    assert report["decision_flips"] == report["own_threshold_flips"] == 0
    assert report["lowest_map_correlation"] == pytest.approx(1)
    assert report["ties"] == ["15.png", "16.png", *NAMES[29:31]]
    assert refusal(report, 32) == ""


def test_scores_that_move_together_flip_at_the_median_and_not_at_their_own_threshold() -> None:
    report = compare(REFERENCE, Scored(SCORES + 0.1, MAPS, PICTURES), NAMES, "fp16") | {"tolerance": 0.2}
    assert report["decision_flips"] == 3
    assert report["own_threshold_flips"] == 0
    assert refusal(report, 32).startswith("3 of 32 decisions differ from the checkpoint's, allowed 1 (close to the threshold: ")


def test_one_flip_may_be_and_two_may_not() -> None:
    one, two = SCORES.copy(), SCORES.copy()
    one[15], two[14:16] = 1.52, 1.52
    assert refusal(compare(REFERENCE, Scored(one, MAPS, PICTURES), NAMES, "int8"), 32) == ""
    assert "2 of 32" in refusal(compare(REFERENCE, Scored(two, MAPS, PICTURES), NAMES, "fp16") | {"tolerance": 0.2}, 32)


def test_a_difference_beyond_the_tolerance_is_refused_without_any_flip() -> None:
    assert "by up to 10.00%, allowed 2.00%" in refusal(compare(REFERENCE, Scored(SCORES * 1.1, MAPS, PICTURES), NAMES, "fp16"), 32)


@pytest.mark.parametrize("spoil", ["scores", "maps", "pictures"])
def test_what_is_not_finite_is_refused(spoil: str) -> None:
    scores, maps, pictures = SCORES.copy(), MAPS.copy(), PICTURES.copy()
    {"scores": scores, "maps": maps, "pictures": pictures}[spoil][3] = np.nan
    assert "not finite" in refusal(compare(REFERENCE, Scored(scores, maps, pictures), NAMES, "fp16"), 32)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "int8-cpu"])
def test_a_map_or_a_reconstruction_of_something_else_is_refused_though_the_scores_agree(precision: str) -> None:
    noise = RANDOM.normal(size=MAPS.shape)
    assert "anomaly map correlates" in refusal(compare(REFERENCE, Scored(SCORES, MAPS + noise, PICTURES), NAMES, precision), 32)
    spoilt = PICTURES.copy()
    spoilt[5, ..., 0] = 1 - spoilt[5, ..., 0]
    assert "reconstruction is not" in refusal(compare(REFERENCE, Scored(SCORES, MAPS, spoilt), NAMES, precision), 32)
    assert "off by" in refusal(compare(REFERENCE, Scored(SCORES, MAPS, PICTURES * 0.9), NAMES, precision), 32)


def test_decisions_by_a_center_of_its_own_and_the_loss_of_auroc() -> None:
    own = SCORES[:, 2], SCORES[::-1, 2]
    report = compare(REFERENCE, REFERENCE, NAMES, "int8", own)
    assert report["own_threshold_flips"] == 4
    assert "4 of 32 decisions differ" in refusal(report, 32)
    good = compare(REFERENCE, REFERENCE, NAMES, "int8") | {"reference_auroc": 0.99, "auroc": 0.988}
    assert refusal(good, 32) == ""
    assert "AUROC falls from 0.9900 to 0.9860" in refusal(good | {"auroc": 0.986}, 32)


def test_correlation_against_numpy() -> None:
    a, b = RANDOM.normal(size=(2, 5, 5))
    assert correlation(a, b) == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1])
    assert correlation(a, np.ones((5, 5))) == 0
