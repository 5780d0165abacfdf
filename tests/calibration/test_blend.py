from __future__ import annotations

import numpy as np
import pytest

from calibration.blend import blend_center
from calibration.center import derive_center
from calibration.feature_moments import MomentSums, add_moments
from edge.slots.calibration_tensors import CalibrationTensors
from tests.calibration.test_center import SHAPE, features


def mahalanobis(tensors: CalibrationTensors, feature: np.ndarray, position: int) -> float:
    """Of the second group, in units of z."""
    row, column = 2 * (position // 2), 2 * (position % 2)
    z = (feature - tensors["feature_mean"][3:, row, column]) * tensors["feature_scale"][3:]
    return float(np.linalg.norm(tensors["whitening_1"][position] @ z))


def test_all_or_nothing_of_the_site_is_the_site_or_the_bundle() -> None:
    start, site = derive_center(features(1), SHAPE), derive_center(features(2, 50), SHAPE)
    for share, expected in ((1.0, site), (0.0, start)):
        blended = blend_center(start, site, share, SHAPE)
        blended.check(SHAPE, "test")
        for name in ("feature_mean", "feature_scale"):
            assert blended[name] == pytest.approx(expected[name], rel=1e-4, abs=1e-4)
        probe = np.array([1.5, -2.0])
        for position in range(4):
            assert mahalanobis(blended, probe, position) == pytest.approx(mahalanobis(expected, probe, position), rel=1e-3)


def test_half_of_each_is_the_statistics_of_both_together() -> None:
    """Against the statistics of the pooled images, shrinkage and ridge aside, which each brings along."""
    first, second = features(1, 400), features(2, 400)
    second[1] = (second[1] + 2).astype(np.float16)
    start, site = derive_center(first, SHAPE), derive_center(second, SHAPE)
    both = derive_center([np.concatenate(pair) for pair in zip(first, second, strict=True)], SHAPE)
    blended = blend_center(start, site, 0.5, SHAPE)
    assert blended["feature_mean"] == pytest.approx(both["feature_mean"], abs=1e-2)
    assert blended["feature_scale"] == pytest.approx(both["feature_scale"], rel=1e-2)
    assert mahalanobis(blended, np.array([2.0, 2.0]), 1) == pytest.approx(mahalanobis(both, np.array([2.0, 2.0]), 1), rel=0.1)


def test_centres_are_of_the_union_in_the_new_scale() -> None:
    start, site = derive_center(features(1), SHAPE), derive_center(features(2), SHAPE)
    blended = blend_center(start, site, 0.5, SHAPE)

    def back(tensors: CalibrationTensors) -> np.ndarray:
        return tensors["centers_0"] / tensors["feature_scale"][0] + tensors["feature_mean"][:3, 0, 0]

    union = np.concatenate([back(start), back(site)])
    assert np.linalg.norm(back(blended)[:, None] - union[None], axis=2).min(axis=1).max() < 1e-3
    assert len(np.unique(back(blended).round(3), axis=0)) == SHAPE.centers


def test_moments_add_up_and_do_not_depend_on_the_parts() -> None:
    parts, whole = [MomentSums(SHAPE), MomentSums(SHAPE)], MomentSums(SHAPE)
    fine, deep = features(5, 40)
    for index in range(40):
        whole.add([fine[index], deep[index]])
        parts[index % 2].add([fine[index], deep[index]])
    together = add_moments([part.moments() for part in parts])
    for one, other, feature in zip(together, whole.moments(), (fine, deep), strict=True):
        assert one.count == other.count == 40
        assert one.total == pytest.approx(other.total)
        assert one.mean() == pytest.approx(feature.mean(axis=0, dtype=np.float64))
    expected = np.cov(deep[:, :, 1, 0].astype(np.float64).T, bias=True)
    assert together[1].covariance(together[1].mean())[2] == pytest.approx(expected, abs=1e-9)
