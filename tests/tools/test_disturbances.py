"""The pictures that good parts are tried with."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.tiny_bundle import part_image
from tools.benchmark.disturbances import DISTURBANCES, blur, brightness, shift


def test_brightness_rounds_and_saturates() -> None:
    image = np.array([[[0, 1, 10]], [[100, 200, 255]]], np.uint8)
    assert brightness(image, 0.85).ravel().tolist() == [0, 1, 8, 85, 170, 217]
    assert brightness(image, 1.15).ravel().tolist() == [0, 1, 12, 115, 230, 255]


def test_a_shift_moves_right_and_down_and_repeats_the_border() -> None:
    image = np.arange(300, dtype=np.uint16).astype(np.uint8).reshape(10, 10, 3)
    moved = shift(image, 0.2, 0.1)
    assert (moved[1:, 2:] == image[:-1, :-2]).all()
    assert (moved[0] == moved[1]).all()
    assert (moved[:, 0] == moved[:, 2]).all()
    back = shift(image, -0.2, -0.1)
    assert (back[:-1, :-2] == image[1:, 2:]).all()
    assert (back[:, -1] == back[:, -3]).all()


def test_the_blur_has_a_sigma_of_one_pixel_at_256() -> None:
    image = np.zeros((512, 256, 3), np.uint8)
    image[256, 128] = 255
    down = blur(image)[:, 128, 0].astype(float)
    across = blur(image)[256, :, 0].astype(float)
    for line, middle, sigma in ((down, 256, 2.0), (across, 128, 1.0)):
        variance = (line * (np.arange(len(line)) - middle) ** 2).sum() / line.sum()
        assert np.sqrt(variance) == pytest.approx(sigma, rel=0.15)
    assert blur(cv2.resize(image, (256, 256))).shape == (256, 256, 3)


@pytest.mark.parametrize("name", DISTURBANCES)
def test_each_keeps_size_and_type_and_the_original(name: str) -> None:
    image = part_image(0)
    kept = image.copy()
    disturbed = DISTURBANCES[name](image)
    assert (disturbed.shape, disturbed.dtype) == (image.shape, image.dtype)
    assert (image == kept).all()
    assert (disturbed == image).all() == (name == "as is")
