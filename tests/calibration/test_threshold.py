from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from calibration.errors import TooFewImagesError
from calibration.threshold import choose_threshold, images_needed, upper_bound

COUNTS = st.integers(1, 2000)
CONFIDENCES = st.floats(0.5, 0.999)


@given(COUNTS, st.data(), CONFIDENCES)
def test_the_bound_is_clopper_pearson(images: int, data: st.DataObject, confidence: float) -> None:
    above = data.draw(st.integers(0, images - 1))
    assert upper_bound(above, images, confidence) == pytest.approx(stats.beta.ppf(confidence, above + 1, images - above), rel=1e-6)


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
        threshold, promise = choose_threshold(scores, True, rate)
    except TooFewImagesError:
        assert upper_bound(0, len(values), 0.95) > rate
        return
    assert promise.false_reject_rate <= rate
    assert (scores >= threshold).sum() <= promise.allowed_above
    # and the next lower threshold would allow more than that
    assert (scores >= np.nextafter(np.float32(threshold), np.float32(0))).sum() > promise.allowed_above


def test_without_a_rate_it_promises_the_best_but_not_below_half_a_percent() -> None:
    scores = np.arange(30, dtype=np.float32)
    threshold, promise = choose_threshold(scores, True)
    assert threshold == np.nextafter(np.float32(29), np.float32(30))
    assert promise.false_reject_rate == pytest.approx(1 - 0.05 ** (1 / 30))
    _, promise = choose_threshold(np.arange(5000, dtype=np.float32), True)
    assert 0.004 < promise.false_reject_rate <= 0.005
    assert promise.allowed_above > 0


def test_a_rate_beyond_the_images_says_how_many_it_needs() -> None:
    with pytest.raises(TooFewImagesError, match="needs 598 images for the threshold, there are 100"):
        choose_threshold(np.arange(100, dtype=np.float32), True, rate=0.005)


@pytest.mark.parametrize("images", [30, 100])
def test_the_share_of_runs_that_break_the_promise_matches_the_confidence(images: int) -> None:
    """2000 simulated calibrations on a skewed distribution whose true false-reject rate is known."""
    random = np.random.default_rng(images)
    broken = 0
    for _ in range(2000):
        threshold, promise = choose_threshold(random.gamma(2.0, size=images).astype(np.float32), True)
        broken += stats.gamma.sf(threshold, 2.0) > promise.false_reject_rate
    assert broken / 2000 == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 2000))
