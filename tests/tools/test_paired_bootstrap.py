from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tools.auroc import auroc
from tools.benchmark.paired_bootstrap import Estimate, estimate_auroc, mean_of, resample

ALL = np.ones(40, bool)


def scores(shift: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(0, 1, 30), random.normal(shift, 1, 40)


def test_a_case_by_hand() -> None:
    """Good images at 0 and 2, an anomaly at 1: a draw holds both (1/2), twice the lower (1/4) or twice the upper one (1/4)."""
    drawn = resample([-1], ["local"], good=2, seed=0, draws=4000)
    found = estimate_auroc([0, 2], [1], drawn, np.array([True]))
    assert found.value == 0.5
    values, counts = np.unique(found.draws, return_counts=True)
    assert values.tolist() == [0.0, 0.5, 1.0]
    assert counts / 4000 == pytest.approx([0.25, 0.5, 0.25], abs=0.03)
    assert found.interval() == (0.0, 1.0)


def test_the_interval_of_an_auroc_against_scipy() -> None:
    normal, anomalous = scores(1.0, 0)
    found = estimate_auroc(normal, anomalous, resample([-1] * 40, ["local"] * 40, 30, seed=1), ALL)
    expected = stats.bootstrap(
        (normal, anomalous), auroc, vectorized=False, method="percentile", n_resamples=2000, rng=np.random.default_rng(2)
    ).confidence_interval
    assert found.value == auroc(normal, anomalous)
    assert found.interval() == pytest.approx(tuple(expected), abs=0.02)


def test_the_interval_of_a_difference_is_paired_as_in_scipy() -> None:
    normal, anomalous = scores(1.0, 3)
    random = np.random.default_rng(4)
    other_normal, other_anomalous = normal + random.normal(0, 0.3, 30), anomalous + random.normal(0, 0.3, 40)

    def difference(good: np.ndarray, bad: np.ndarray) -> float:
        good, bad = good.astype(int), bad.astype(int)
        return auroc(normal[good], anomalous[bad]) - auroc(other_normal[good], other_anomalous[bad])

    expected = stats.bootstrap(
        (np.arange(30), np.arange(40)), difference, vectorized=False, method="percentile", n_resamples=2000, rng=random
    ).confidence_interval
    drawn = resample([-1] * 40, ["local"] * 40, 30, seed=5)
    found = estimate_auroc(normal, anomalous, drawn, ALL) - estimate_auroc(other_normal, other_anomalous, drawn, ALL)
    assert found.interval() == pytest.approx(tuple(expected), abs=0.012)
    apart = estimate_auroc(other_normal, other_anomalous, resample([-1] * 40, ["local"] * 40, 30, seed=6), ALL)
    wide = (estimate_auroc(normal, anomalous, drawn, ALL) - apart).interval()
    assert wide[1] - wide[0] > 2 * (found.interval()[1] - found.interval()[0])


def test_every_draw_is_the_auroc_of_the_images_in_it() -> None:
    normal, anomalous = np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 0.0, 3.0])
    drawn = resample([-1, -1, 0, 2], ["a", "a", "b", "b"], 3, seed=0, draws=50)
    chosen = np.array([True, True, False, True])
    found = estimate_auroc(normal, anomalous, drawn, chosen)
    for good, bad, value in zip(drawn.good.astype(int), drawn.anomalous.astype(int), found.draws, strict=True):
        assert value == pytest.approx(auroc(np.repeat(normal, good), np.repeat(anomalous[chosen], bad[chosen])))


def test_a_synthetic_anomaly_is_drawn_with_its_base_and_a_real_one_within_its_stratum() -> None:
    drawn = resample([-1, 1, -1, 1, -1], ["local", "local", "global", "global", "local"], 4, seed=0, draws=100)
    assert (drawn.good.sum(axis=1) == 4).all()
    assert np.array_equal(drawn.anomalous[:, 1], drawn.good[:, 1])
    assert np.array_equal(drawn.anomalous[:, 3], drawn.good[:, 1])
    assert (drawn.anomalous[:, [0, 4]].sum(axis=1) == 2).all()
    assert (drawn.anomalous[:, 2] == 1).all()
    assert np.array_equal(drawn.good, resample([], [], 4, seed=0, draws=100).good)


def test_a_draw_without_any_anomaly_says_nothing() -> None:
    found = estimate_auroc([0, 0], [1], resample([0], ["local"], 2, seed=0, draws=200), np.array([True]))
    assert np.isnan(found.draws).any()
    assert found.interval() == (1.0, 1.0)
    assert np.isnan(Estimate(1.0, np.array([np.nan])).interval()).all()


def test_the_mean_is_taken_draw_by_draw() -> None:
    mean = mean_of([Estimate(0.5, np.array([0.0, 1.0])), Estimate(1.0, np.array([1.0, 1.0]))])
    assert (mean.value, mean.draws.tolist()) == (0.75, [0.5, 1.0])
