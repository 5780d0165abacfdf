from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from calibration.binomial_bound import allowed_above, binomial_cdf, exceedance_chance, images_needed, upper_bound
from calibration.errors import TooFewImagesError
from calibration.tail_fit import MINIMUM_IMAGES
from calibration.threshold import FARTHEST, choose_threshold

COUNTS = st.integers(1, 2000)
CONFIDENCES = st.floats(0.5, 0.999)


@given(COUNTS, st.data(), CONFIDENCES)
def test_the_bound_is_clopper_pearson(images: int, data: st.DataObject, confidence: float) -> None:
    above = data.draw(st.integers(0, images - 1))
    assert upper_bound(above, images, confidence) == pytest.approx(stats.beta.ppf(confidence, above + 1, images - above), rel=1e-6)


@given(COUNTS, st.data(), st.floats(0, 1))
def test_the_binomial_is_the_binomial(images: int, data: st.DataObject, rate: float) -> None:
    above = data.draw(st.integers(0, images))
    assert binomial_cdf(above, images, rate) == pytest.approx(stats.binom.cdf(above, images, rate), rel=1e-8, abs=1e-12)


@given(COUNTS, st.floats(0.001, 0.6), CONFIDENCES)
def test_as_many_are_allowed_above_as_the_bound_lets(images: int, rate: float, confidence: float) -> None:
    allowed = allowed_above(images, rate, confidence)
    bounds = stats.beta.ppf(confidence, np.arange(images) + 1, images - np.arange(images))
    within = np.flatnonzero(bounds <= rate)
    if abs(bounds - rate).min() > 1e-9:
        assert allowed == (int(within[-1]) if len(within) else None)


@given(st.integers(1, 200), st.integers(1, 200), st.data())
def test_the_chance_of_a_session_is_beta_binomial(images: int, others: int, data: st.DataObject) -> None:
    above, others_above = data.draw(st.integers(0, images)), data.draw(st.integers(0, others - 1))
    expected = stats.betabinom.sf(above - 1, images, others_above + 1, others - others_above)
    assert exceedance_chance(above, images, others_above, others) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_the_known_number_for_half_a_percent() -> None:
    assert images_needed(0.005, 0.95) == 598
    assert upper_bound(0, 598, 0.95) <= 0.005 < upper_bound(0, 597, 0.95)


@given(st.floats(0.001, 0.5), CONFIDENCES)
def test_images_needed_is_the_fewest(rate: float, confidence: float) -> None:
    needed = images_needed(rate, confidence)
    assert upper_bound(0, needed, confidence) <= rate * (1 + 1e-9)
    assert needed == 1 or upper_bound(0, needed - 1, confidence) > rate * (1 - 1e-9)


@given(st.lists(st.floats(0, 1e6, width=32), min_size=1, max_size=300), st.floats(0.01, 0.5))
def test_no_more_images_are_rejected_than_the_promise_allows(values: list[float], rate: float) -> None:
    scores = np.array(values, np.float32)
    try:
        threshold, promise = choose_threshold(scores, "exact", rate)
    except TooFewImagesError:
        assert upper_bound(0, len(values), 0.95) > rate
        return
    assert promise.false_reject_rate <= rate
    assert (scores >= threshold).sum() <= promise.allowed_above
    # and the next lower threshold would allow more than that
    assert (scores >= np.nextafter(np.float32(threshold), np.float32(0))).sum() > promise.allowed_above


def test_without_a_rate_it_promises_the_best_but_not_below_half_a_percent() -> None:
    scores = np.arange(30, dtype=np.float32)
    threshold, promise = choose_threshold(scores)
    assert threshold == np.nextafter(np.float32(29), np.float32(30))
    assert promise.false_reject_rate == pytest.approx(1 - 0.05 ** (1 / 30))
    _, promise = choose_threshold(np.arange(5000, dtype=np.float32))
    assert 0.004 < promise.false_reject_rate <= 0.005
    assert promise.allowed_above > 0


def test_a_rate_beyond_the_images_says_how_many_it_needs() -> None:
    with pytest.raises(TooFewImagesError, match="needs 598 images for the threshold, there are 100"):
        choose_threshold(np.arange(100, dtype=np.float32), rate=0.005)


def test_accepting_an_extrapolation_says_so_and_goes_beyond_the_highest_score() -> None:
    scores = np.random.default_rng(0).normal(size=100).astype(np.float32)
    threshold, promise = choose_threshold(scores, "exact", rate=0.005, accept=True)
    assert (promise.kind, promise.false_reject_rate, promise.images) == ("extrapolated", 0.005, 100)
    assert threshold > scores.max()
    assert choose_threshold(scores, "exact", rate=0.1, accept=True)[1].kind == "exact"
    with pytest.raises(TooFewImagesError, match=f"fits a tail to {MINIMUM_IMAGES} or more"):
        choose_threshold(scores[: MINIMUM_IMAGES - 1], "exact", rate=0.005, accept=True)


@pytest.mark.parametrize("images", [MINIMUM_IMAGES, 200])
def test_an_extrapolation_goes_no_farther_than_it_was_measured(images: int) -> None:
    """Farther out no defect comes to the threshold: at 0.01 % from 50 images it is 1,500 deviations above the mean."""
    scores = np.random.default_rng(0).normal(size=images).astype(np.float32)
    farthest = upper_bound(0, FARTHEST * images, 0.95)
    threshold, promise = choose_threshold(scores, "exact", farthest * 1.001, accept=True)
    assert promise.kind == "extrapolated"
    assert threshold < 50
    with pytest.raises(TooFewImagesError, match=f"no farther than to {farthest:.2%}"):
        choose_threshold(scores, "exact", farthest * 0.999, accept=True)


@pytest.mark.parametrize("images", [30, 100])
def test_the_share_of_runs_that_break_the_promise_matches_the_confidence(images: int) -> None:
    """2000 simulated calibrations on a skewed distribution whose true false-reject rate is known."""
    random = np.random.default_rng(images)
    broken = 0
    for _ in range(2000):
        threshold, promise = choose_threshold(random.gamma(2.0, size=images).astype(np.float32))
        broken += stats.gamma.sf(threshold, 2.0) > promise.false_reject_rate
    assert broken / 2000 == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 2000))
