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
    """One term is certain (capped at 1 − 1/2n), the other right for a fixed share: the ratio is that of Φ⁻¹ to the fourth power."""
    seen = {True: 0, False: 0}

    def terms(picture: np.ndarray) -> np.ndarray:
        bad = changed(picture)
        seen[bad] += 1
        return np.array([float(bad), float(bad and seen[bad] % 5 != 0)])  # four of five anomalies are found

    certain, most = term_reliability(normals(8), terms, 2)
    assert certain == 1
    found = 1 - seen[True] // 5 / seen[True]
    assert most == pytest.approx((norm.ppf(0.5 + found / 2) / norm.ppf(1 - 1 / 16)) ** 4, rel=0.1)


def test_too_few_images_or_no_ability_leave_the_terms_alike() -> None:
    assert term_reliability([], lambda _: np.zeros(3), 3) == [1, 1, 1]
    assert term_reliability(normals(4), lambda _: np.zeros(3), 3) == [1, 1, 1]
    assert term_reliability(normals(8), lambda picture: -float(changed(picture)) * np.ones(2), 2) == [1, 1]
