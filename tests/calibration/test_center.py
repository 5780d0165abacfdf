from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calibration.center import derive_center, k_center, sample_positions
from edge.graph_contract import GraphShape

SHAPE = GraphShape(height=16, width=16, channels=6, groups=2, centers=8, map_height=2, map_width=2)


def radius(rows: np.ndarray, centers: np.ndarray) -> float:
    """The largest distance of a row to its nearest centre, by brute force."""
    return float(np.linalg.norm(rows[:, None] - centers[None], axis=2).min(axis=1).max())


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


def test_groups_are_centred_and_scaled_to_unit_root_mean_square() -> None:
    random = np.random.default_rng(1)
    sample = np.concatenate([random.normal(5, 100, (500, 3)), random.normal(-2, 0.01, (500, 3))], axis=1).astype(np.float32)
    tensors = derive_center(sample, SHAPE)
    z = (sample - tensors.feature_mean) * tensors.feature_scale
    for group in (z[:, :3], z[:, 3:]):
        assert np.allclose(group.mean(axis=0), 0, atol=1e-2)
        assert np.isclose(np.sqrt((group**2).mean()), 1, rtol=1e-3)
    tensors.check(SHAPE, "test")


def test_fewer_rows_than_centres_are_repeated_and_constant_rows_stay_finite() -> None:
    tensors = derive_center(np.ones((3, 6), np.float32), SHAPE)
    tensors.check(SHAPE, "test")
    assert tensors.centers.shape == (2, 8, 3)


def test_the_sample_depends_on_the_seed_alone() -> None:
    feature = np.arange(2 * 9, dtype=np.float32).reshape(2, 3, 3)
    rows = sample_positions(feature, 4, seed=7)
    assert rows.shape == (4, 2)
    assert np.array_equal(rows, sample_positions(feature, 4, seed=7))
    assert (rows[:, 1] - rows[:, 0] == 9).all()
