"""How long the same picture has been there."""

from __future__ import annotations

import numpy as np

from edge.pictures.still_picture import StillPicture


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (40, 48, 3), dtype=np.uint8)


def test_it_counts_from_the_first_of_those_that_are_the_same() -> None:
    still = StillPicture()
    seen = [(noise(0), 10), (noise(0), 30), (noise(0), 60), (noise(1), 70), (noise(0), 80), (noise(0), 95)]
    assert [still.still_ns(image, at_ns) for image, at_ns in seen] == [0, 20, 50, 0, 0, 15]


def test_one_changed_pixel_beside_the_sample_is_another_picture() -> None:
    still, image = StillPicture(), noise(0)
    other = image.copy()
    other[1, 1, 0] ^= 1
    assert [still.again(one) for one in (image, other, other, image, image[:-1])] == [False, False, True, False, False]


def test_what_is_no_picture_is_none_again() -> None:
    still = StillPicture()
    assert [still.again(one) for one in (np.zeros(0, np.uint8), np.zeros(0, np.uint8))] == [False, False]
