from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.pictures.usual_change import LARGEST_SHIFT, usual_change

SIDE = 128


def part(seed: int) -> np.ndarray:
    """A smooth disc at the centre; its place can be measured."""
    image = np.full((SIDE, SIDE, 3), 40 + seed, np.uint8)
    cv2.circle(image, (SIDE // 2, SIDE // 2), 30, (200, 200, 200), -1)
    return image


def place(image: np.ndarray) -> tuple[float, float]:
    moments = cv2.moments((image[..., 0] > 120).astype(np.uint8))
    return moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]


def test_the_part_moves_a_little_and_differently_each_time() -> None:
    places = np.array([place(usual_change(part(seed))) for seed in range(30)]) - place(part(0))
    assert np.abs(places).max() <= LARGEST_SHIFT * SIDE + 1
    assert np.abs(places).max(axis=0) == pytest.approx(LARGEST_SHIFT * SIDE, abs=1.5)
    assert np.abs(places.mean(axis=0)).max() < 1.5


def test_it_is_never_sharper_and_mostly_softer() -> None:
    def sharpness(image: np.ndarray) -> float:
        return float(np.square(cv2.Laplacian(image.astype(np.float32), cv2.CV_32F)).mean())

    softer = [sharpness(usual_change(part(seed))) / sharpness(part(seed)) for seed in range(30)]
    assert max(softer) <= 1.001
    assert np.median(softer) < 0.9


def test_the_same_picture_gets_the_same_change() -> None:
    assert np.array_equal(usual_change(part(3)), usual_change(part(3)))
    assert usual_change(part(3)).shape == part(3).shape


def flat(level: int) -> np.ndarray:
    return np.full((64, 64, 3), level, np.uint8)


def test_the_border_is_continued_and_the_light_brought_back() -> None:
    for level in range(60, 200, 10):
        assert np.abs(usual_change(flat(level)).astype(int) - level).max() <= 1


def test_white_is_cut_off_where_there_was_more_light() -> None:
    levels = [int(usual_change(flat(level)).max()) for level in range(245, 256)]
    assert min(levels) < 235
    assert min(levels) >= 255 / 1.15 - 1
    assert max(levels) >= 250
