from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.frame import Image
from tools.demo_images import demo_image
from tools.part_region import foreground, parts
from tools.synthetic_anomalies import GLOBAL, LARGEST, LEAST_CHANGE, LEAST_SHIFT, LOCAL, global_anomaly, local_anomaly


@pytest.fixture(scope="module")
def image() -> Image:
    return np.asarray(demo_image(np.random.default_rng(0))[0], np.uint8)


def plain_part(height: int = 150, width: int = 200) -> Image:
    """A dark L on a light, slightly noisy ground."""
    picture = np.random.default_rng(1).normal(200, 2, (height, width, 3))
    picture[40:110, 60:80] = 60
    picture[90:110, 60:130] = 60
    return np.clip(picture, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.parametrize("seed", range(4))
def test_a_local_anomaly_changes_something_and_only_inside_its_mask(image: Image, name: str, seed: int) -> None:
    before = image.copy()
    changed, mask = local_anomaly(image, name, seed)
    assert (changed.shape, changed.dtype, mask.shape) == (image.shape, np.uint8, image.shape[:2])
    assert np.array_equal(image, before)
    assert set(np.unique(mask)) == {0, 255}
    assert np.array_equal(changed[mask == 0], image[mask == 0])
    assert np.abs(changed[mask > 0].astype(int) - image[mask > 0]).mean() >= LEAST_CHANGE
    _, _, width, height = cv2.boundingRect(mask)
    assert 3 <= max(width, height) <= 1.7 * LARGEST * min(image.shape[:2])


def test_chips_take_the_texture_of_the_donor(image: Image) -> None:
    changed, mask = local_anomaly(image, "chip", 0, np.full_like(image, (255, 0, 255)))
    inside = cv2.erode(mask, np.ones((3, 3), np.uint8)) > 0
    assert np.abs(changed[inside].astype(int) - (255, 0, 255)).mean() < 60


@pytest.mark.parametrize("name", [*LOCAL, *GLOBAL])
def test_an_anomaly_is_a_function_of_seed_and_image(image: Image, name: str) -> None:
    def make(picture: Image, seed: int) -> bytes:
        return (local_anomaly(picture, name, seed)[0] if name in LOCAL else global_anomaly(picture, name, seed)).tobytes()

    assert make(image, 3) == make(image.copy(), 3)
    other = image.copy()
    other[0, 0, 0] ^= 1
    results = {make(image, seed) for seed in range(6)}
    assert len(results) == (2 if name in ("mirrored", "swapped") else 6)
    assert make(image, 3) != make(other, 3)


@pytest.mark.parametrize("name", GLOBAL)
@pytest.mark.parametrize("seed", range(4))
def test_a_global_anomaly_keeps_shape_and_type_and_changes_the_image(name: str, seed: int) -> None:
    picture = plain_part()
    changed = global_anomaly(picture, name, seed)
    assert (changed.shape, changed.dtype, changed.flags.c_contiguous) == (picture.shape, np.uint8, True)
    assert (np.abs(changed.astype(int) - picture).max(axis=2) > 50).sum() > 300


@pytest.mark.parametrize("seed", range(4))
def test_removing_leaves_less_of_the_part_and_doubling_more(seed: int) -> None:
    picture = plain_part()
    area = foreground(picture).sum()
    assert foreground(global_anomaly(picture, "removed", seed)).sum() < 0.9 * area
    assert foreground(global_anomaly(picture, "doubled", seed)).sum() > 1.3 * area


@pytest.mark.parametrize("seed", range(6))
def test_a_shift_is_at_least_its_share_of_the_side(seed: int) -> None:
    picture = plain_part()
    first = np.array([axis.mean() for axis in np.nonzero(foreground(picture))])
    moved = global_anomaly(picture, "shifted", seed)
    largest = max(parts(moved), key=lambda part: int(part.sum()))
    away = np.abs(np.array([axis.mean() for axis in np.nonzero(largest)]) - first) / picture.shape[:2]
    assert away.max() > LEAST_SHIFT - 0.02


def test_one_of_several_parts_is_removed_whole() -> None:
    picture = np.full((200, 200, 3), 220, np.uint8)
    for x, y in ((60, 60), (140, 60), (60, 140)):
        cv2.circle(picture, (x, y), 18, (40, 90, 200), -1)
    assert len(parts(picture)) == 3
    assert len(parts(global_anomaly(picture, "removed", 0))) == 2
    assert len(parts(global_anomaly(picture, "doubled", 0))) == 4


def test_a_texture_without_a_part_has_nothing_to_remove_or_to_double() -> None:
    texture = np.random.default_rng(0).normal(120, 12, (96, 96, 3)).clip(0, 255).astype(np.uint8)
    assert not foreground(texture).any()
    assert parts(texture) == []
    for name in GLOBAL:
        assert np.array_equal(global_anomaly(texture, name, 0), texture) == (name in ("removed", "doubled"))
    for name in LOCAL:
        changed, mask = local_anomaly(texture, name, 0)
        assert mask.any()
        assert np.array_equal(changed[mask == 0], texture[mask == 0])


def test_a_part_that_fills_the_image_leaves_no_ground_to_take() -> None:
    picture = np.full((64, 64, 3), 230, np.uint8)
    picture[6:58, 6:58] = 30
    changed = global_anomaly(picture, "removed", 0)
    assert changed.shape == picture.shape
    assert (changed > 200).sum() > (picture > 200).sum()
