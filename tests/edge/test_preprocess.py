from __future__ import annotations

import numpy as np
import pytest

from edge.errors import ConfigError
from edge.preprocess import Region, ignore_mask_cells, preprocess


def test_the_golden_frame() -> None:
    """Averaging 2×2 pixels is exact whatever the OpenCV build."""
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    expected = image.reshape(2, 2, 3, 2, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(preprocess(image, 2, 3).astype(float) - expected).max() <= 1


def test_an_image_of_the_right_size_is_untouched() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert np.array_equal(preprocess(image, 8, 8), image)


def test_only_the_region_is_looked_at() -> None:
    image = np.full((40, 60, 3), 255, np.uint8)
    image[10:30, 20:40] = 7
    assert (preprocess(image, 10, 10, Region(20, 10, 20, 20)) == 7).all()
    with pytest.raises(ConfigError, match="reaches outside the 60×40 image"):
        preprocess(image, 10, 10, Region(50, 10, 20, 20))


def test_mask_cells_follow_the_region_and_the_half() -> None:
    mask = np.zeros((40, 40, 3), np.uint8)
    mask[:, 20:] = 255
    assert np.array_equal(ignore_mask_cells(mask, 1, 4), [[0, 0, 1, 1]])
    with pytest.raises(ConfigError, match="covers the whole region"):
        ignore_mask_cells(mask, 2, 2, Region(20, 0, 20, 20))
    assert not ignore_mask_cells(None, 2, 2).any()
