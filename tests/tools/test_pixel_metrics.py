"""Pixel AUROC and PRO, against hand-worked cases and against the curve drawn threshold by threshold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from tools.auroc import auroc
from tools.benchmark.pixel_metrics import PRO_LIMIT, PixelScores, area_to


def figures(*images: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
    scores = PixelScores()
    for anomaly_map, mask in images:
        scores.add(anomaly_map.astype(np.float32), mask)
    return scores.figures()


def drawn_curve(images: list[tuple[np.ndarray, np.ndarray]], limit: float) -> float:
    """PRO as the paper tells it: at every threshold the mean share of each region that is found, and the false-positive rate."""
    regions, normal = [], []
    for anomaly_map, mask in images:
        labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
        regions += [anomaly_map[labels == one] for one in range(1, count + 1)]
        normal.append(anomaly_map[~mask])
    outside = np.concatenate(normal)
    thresholds = np.unique(np.concatenate([outside, *regions]))[::-1]
    rate = np.array([0.0, *[(outside >= t).mean() for t in thresholds]])
    overlap = np.array([0.0, *[np.mean([(region >= t).mean() for region in regions]) for t in thresholds]])
    # Cut at the limit: keep the curve's points below it and the curve's value there, the highest at a vertical step.
    inside = rate <= limit
    last = int(np.flatnonzero(inside)[-1])
    x, y = rate[: last + 1], overlap[: last + 1]
    if last + 1 < len(rate):
        share = (limit - rate[last]) / (rate[last + 1] - rate[last])
        x, y = np.append(x, limit), np.append(y, overlap[last] + share * (overlap[last + 1] - overlap[last]))
    return float(((x[1:] - x[:-1]) * (y[1:] + y[:-1]) / 2).sum() / limit)


def random_images(seed: int, levels: int) -> list[tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(seed)
    images = []
    for index in range(3):
        mask = np.zeros((12, 15), bool)
        if index:
            mask[2:5, 3 : 5 + index] = True
            mask[8:10, 9:14] = random.random((2, 5)) < 0.7
            mask[0, 0] = True
        images.append((random.integers(0, levels, mask.shape) + 1.5 * mask, mask))
    return images


@given(st.integers(0, 10_000), st.sampled_from([2, 5, 1000]))
def test_pro_is_the_area_under_the_drawn_curve(seed: int, levels: int) -> None:
    images = random_images(seed, levels)
    assert figures(*images)[1] == pytest.approx(drawn_curve(images, PRO_LIMIT), abs=1e-6)


@given(st.integers(0, 10_000), st.sampled_from([2, 5, 1000]))
def test_pixel_auroc_is_the_auroc_of_all_pixels(seed: int, levels: int) -> None:
    images = random_images(seed, levels)
    normal = np.concatenate([anomaly_map[~mask] for anomaly_map, mask in images])
    defective = np.concatenate([anomaly_map[mask] for anomaly_map, mask in images])
    assert figures(*images)[0] == pytest.approx(auroc(normal, defective), abs=1e-9)


@given(st.integers(0, 10_000))
def test_only_the_order_of_values_counts(seed: int) -> None:
    images = random_images(seed, 50)
    for stretch in (lambda v: 3 * v - 7, np.exp2, lambda v: v**3):
        assert figures(*[(stretch(v / 8), mask) for v, mask in images]) == pytest.approx(figures(*images), abs=1e-12)


def test_a_perfect_map_has_1_and_one_that_is_the_same_everywhere_knows_nothing() -> None:
    images = random_images(0, 5)
    assert figures(*[(mask, mask) for _, mask in images]) == pytest.approx((1.0, 1.0))
    assert figures(*[(~mask, mask) for _, mask in images]) == pytest.approx((0.0, 0.0))
    # The curve is the diagonal: a half of the whole, and of the first 0.3 a half of its height there.
    assert figures(*[(0 * mask, mask) for _, mask in images]) == pytest.approx((0.5, PRO_LIMIT / 2))


def test_every_region_counts_the_same_whatever_its_size() -> None:
    mask = np.zeros((10, 10), bool)
    mask[1:5, 1:5] = True
    mask[8, 8] = True
    found_large, found_small = mask.astype(float), mask.astype(float)
    found_large[8, 8] = -1  # the single pixel is below every normal one
    found_small[1:5, 1:5] = -1
    assert figures((found_large, mask)) == pytest.approx((16 / 17, 0.5))
    assert figures((found_small, mask)) == pytest.approx((1 / 17, 0.5))


def test_corners_that_touch_are_one_region() -> None:
    mask = np.zeros((6, 6), bool)
    mask[1, 1] = mask[2, 2] = mask[3, 3] = mask[5, 0] = True
    values = mask.astype(float)
    values[5, 0] = -1
    assert figures((values, mask))[1] == pytest.approx(0.5)


def test_by_hand_with_ties() -> None:
    # Normal 0 1 2 3. A pixel at 3 is found on the way from rate 0 to 1/4; one at 2.5 from 1/4 on, at once.
    normal = np.array([0, 1, 2, 3], np.float32)
    ones = np.ones(1)
    assert area_to(1.0, normal, np.array([3], np.float32), ones) == pytest.approx(7 / 8)
    assert area_to(1.0, normal, np.array([2.5], np.float32), ones) == pytest.approx(3 / 4)
    assert area_to(0.5, normal, np.array([2.5], np.float32), ones) == pytest.approx(1 / 2)
    assert area_to(0.125, normal, np.array([3], np.float32), ones) == pytest.approx(1 / 4)
    assert area_to(0.2, normal, np.array([2], np.float32), ones) == 0


def test_the_map_is_laid_over_the_mask_whatever_the_aspect() -> None:
    """A 4×4 map of a 16×32 image: each cell lies over 4×8 pixels."""
    mask = np.zeros((16, 32), bool)
    mask[4:8, 16:24] = True
    cells = np.zeros((4, 4))
    cells[1, 2] = 1
    pixel_auroc, pro = figures((cells, mask))
    assert pixel_auroc > 0.98
    assert pro > 0.9
    assert figures((cells.T, mask))[0] < 0.9


def test_nothing_to_tell_apart_is_not_a_number() -> None:
    values = np.zeros((4, 4))
    assert np.isnan(figures()).all()
    assert np.isnan(figures((values, np.zeros((4, 4), bool)))).all()
    assert np.isnan(figures((values, np.ones((4, 4), bool)))).all()
