"""C and the norm's statistics against independent references: brute force, numpy's covariance, scipy's Mahalanobis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import mahalanobis

from calibration import center
from calibration.center import RIDGE, SHRINKAGE, cover, derive_center, k_center, own_grid, whitening
from edge.graph_contract import FeatureGroup, GraphShape

SHAPE = GraphShape(
    height=16, width=16, centers=8, feature_height=4, feature_width=4, map_height=4, map_width=4,
    groups=[FeatureGroup(channels=3, norm="nearest"), FeatureGroup(channels=2, norm="mahalanobis", stride=2)],
)  # fmt: skip


def radius(rows: np.ndarray, centers: np.ndarray) -> float:
    """The largest distance of a row to its nearest centre, by brute force."""
    return float(np.linalg.norm(rows[:, None] - centers[None], axis=2).min(axis=1).max())


def features(seed: int = 1, count: int = 30) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    fine = random.normal(5, 2, (count, 3, 4, 4))
    deep = random.normal(0, 1, (count, 2, 2, 2)) * np.array([1.0, 3.0])[:, None, None] + np.arange(4).reshape(2, 2)
    return [fine.astype(np.float16), deep.astype(np.float16)]


@given(st.integers(0, 1000), st.integers(20, 60))
def test_the_greedy_cover_is_within_twice_the_best_of_many_tries(seed: int, rows: int) -> None:
    """Gonzalez's bound: at most twice the optimum, so at most twice any cover found otherwise."""
    random = np.random.default_rng(seed)
    points = random.normal(size=(rows, 3)).astype(np.float32)
    chosen = k_center(points, 5)
    assert {tuple(row) for row in chosen} <= {tuple(row) for row in points}
    others = min(radius(points, points[random.choice(rows, 5, replace=False)]) for _ in range(30))
    assert radius(points, chosen) <= 2 * others + 1e-4


def test_a_rare_kind_of_normal_texture_gets_a_centre() -> None:
    random = np.random.default_rng(0)
    common = random.normal(0, 0.1, (5000, 3))
    rare = np.full((1, 3), 4.0)
    chosen = k_center(np.concatenate([common, rare]).astype(np.float32), 8)
    assert np.linalg.norm(chosen - 4.0, axis=1).min() == 0


def test_more_rows_than_the_sample_holds_are_all_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A texture that only one of many images shows, too rare for a random sample, still gets its centre."""
    monkeypatch.setattr(center, "MAXIMUM_CANDIDATES", 100)
    monkeypatch.setattr(center, "BLOCK", 64)
    feature = np.random.default_rng(0).normal(0, 0.1, (200, 2, 4, 4)).astype(np.float16)
    feature[137, :, 2, 1] = 6.0
    everywhere = np.ones((4, 4), bool)
    chosen = cover(feature, np.zeros(2), 1.0, everywhere, 16, seed=0)
    assert chosen.shape == (16, 2)
    assert np.linalg.norm(chosen - 6.0, axis=1).min() == 0
    elsewhere = everywhere.copy()
    elsewhere[2, 1] = False
    assert np.linalg.norm(cover(feature, np.zeros(2), 1.0, elsewhere, 16, seed=0) - 6.0, axis=1).min() > 1


def test_groups_are_centred_and_scaled_to_unit_root_mean_square() -> None:
    fine, deep = features()
    tensors = derive_center([fine, deep], SHAPE)
    tensors.check(SHAPE, "test")
    for part, feature, stride in ((slice(0, 3), fine, 1), (slice(3, 5), deep, 2)):
        mean = tensors["feature_mean"][part, ::stride, ::stride]
        z = (feature.astype(np.float64) - mean) * tensors["feature_scale"][part, None, None]
        assert np.allclose(z.mean(axis=(0, 2, 3)), 0, atol=1e-2)
        assert np.isclose(np.sqrt((z**2).mean()), 1, rtol=1e-3)


def test_the_mean_of_a_coarse_group_is_repeated_and_of_the_nearest_is_the_same_everywhere() -> None:
    mean = derive_center(features(), SHAPE)["feature_mean"]
    assert np.ptp(mean[:3], axis=(1, 2)).max() == 0
    assert np.array_equal(mean[3:], np.repeat(np.repeat(mean[3:, ::2, ::2], 2, axis=1), 2, axis=2))
    assert np.array_equal(own_grid(mean, SHAPE)[1], mean[3:, ::2, ::2])


def test_whitening_gives_the_mahalanobis_length() -> None:
    """Against numpy's covariance and scipy's distance, position by position."""
    random = np.random.default_rng(2)
    centred = random.normal(size=(50, 3, 2, 2)) @ np.diag([1.0, 3.0])
    centred -= centred.mean(axis=0)
    own = [np.cov(centred[:, :, y, x].T, bias=True) for y in range(2) for x in range(2)]
    matrices = whitening(np.stack(own))
    pooled = np.mean(own, axis=0)
    for position, covariance in enumerate(own):
        mixed = (1 - SHRINKAGE) * covariance + SHRINKAGE * pooled + RIDGE * np.trace(pooled) / 3 * np.eye(3)
        z = centred[7, :, position // 2, position % 2]
        expected = mahalanobis(z, np.zeros(3), np.linalg.inv(mixed))
        assert np.linalg.norm(matrices[position] @ z) == pytest.approx(expected, rel=1e-4)


def test_a_centre_kept_by_training_takes_the_place_of_the_mean() -> None:
    kept = np.full((5, 4, 4), 0.25, np.float32)
    mean = derive_center(features(), SHAPE, center=kept)["feature_mean"]
    assert (mean[3:] == 0.25).all()
    assert mean[:3].min() > 4


def test_what_is_not_judged_sets_no_centre() -> None:
    fine, deep = features()
    fine[:, :, :2] = 100
    mask = np.zeros((4, 4), np.float32)
    mask[:2] = 1
    tensors = derive_center([fine, deep], SHAPE, mask)
    assert tensors["feature_mean"][:3].max() < 10
    assert np.abs(tensors["centers_0"]).max() < 10


def test_fewer_rows_than_centres_are_repeated_and_constant_features_stay_finite() -> None:
    tensors = derive_center([np.ones((1, 3, 1, 2), np.float16), np.ones((1, 2, 1, 2), np.float16)], _narrow())
    tensors.check(_narrow(), "test")
    assert tensors["centers_0"].shape == (8, 3)


def _narrow() -> GraphShape:
    return SHAPE.model_copy(update={"feature_height": 1, "feature_width": 2, "map_height": 1, "map_width": 2, "groups": [
        FeatureGroup(channels=3, norm="nearest"), FeatureGroup(channels=2, norm="l2", stride=1)]})  # fmt: skip
