from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from tests.tiny_bundle import part_image
from tools.reliability import LEAST_SHARE, term_reliability


def normals(count: int) -> list[np.ndarray]:
    return [part_image(seed) for seed in range(count)]


def changed(picture: np.ndarray) -> bool:
    return not any(np.array_equal(picture, one) for one in normals(8))


def test_a_term_that_tells_more_weighs_more_and_none_is_silent() -> None:
    random = np.random.default_rng(0)

    def terms(picture: np.ndarray) -> np.ndarray:
        noise = random.normal(size=3)
        return noise + changed(picture) * np.array([4.0, 0.5, -1.0])

    sharp, dull, wrong = term_reliability(normals(8), terms, 3)
    assert sharp == 1
    assert LEAST_SHARE <= dull < 0.5
    assert wrong == LEAST_SHARE


def test_the_fourth_power_of_the_detectability_by_hand() -> None:
    """One term finds every changed picture, the other four of five: the ratio is that of Φ⁻¹(AUROC) to the fourth power."""
    seen = {True: 0, False: 0}

    def terms(picture: np.ndarray) -> np.ndarray:
        bad = changed(picture)
        seen[bad] += 1
        return np.array([float(bad), float(bad and seen[bad] % 5 != 0)])

    every, most = term_reliability(normals(8), terms, 2)
    anomalies = sum(seen.values()) - 8  # some look as good parts do
    told = [min(0.5 + count / anomalies / 2, 1 - 1 / 16) for count in (seen[True], seen[True] - seen[True] // 5)]
    assert every == 1
    assert most == pytest.approx((norm.ppf(told[1]) / norm.ppf(told[0])) ** 4, rel=0.05)


def test_too_few_images_or_no_ability_leave_the_terms_alike() -> None:
    assert term_reliability([], lambda _: np.zeros(3), 3) == [1, 1, 1]
    assert term_reliability(normals(4), lambda _: np.zeros(3), 3) == [1, 1, 1]
    assert term_reliability(normals(8), lambda picture: -float(changed(picture)) * np.ones(2), 2) == [1, 1]
