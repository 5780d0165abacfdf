from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.records.heat_picture import LONGER_SIDE, heat_picture


def halves(image: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    both = cv2.imdecode(np.frombuffer(heat_picture(image, share), np.uint8), cv2.IMREAD_COLOR).astype(int)
    width = both.shape[1] // 2
    return both[:, :width], both[:, width:]


@pytest.mark.parametrize(("height", "width"), [(640, 480), (480, 640), (8, 8), (1000, 3)])
def test_the_aspect_is_kept_and_the_picture_is_the_picture(height: int, width: int) -> None:
    picture, heat = halves(np.full((height, width, 3), (200, 100, 50), np.uint8), np.zeros((4, 4)))
    assert max(picture.shape[:2]) == LONGER_SIDE
    assert picture.shape == heat.shape
    assert picture.shape[1] == max(1, round(width * LONGER_SIDE / max(height, width)))
    if width > 3:  # where they meet, JPEG mixes the colours of both
        picture, heat = picture[:, :-16], heat[:, 16:]
        assert np.abs(picture - (200, 100, 50)).max() <= 4
        assert np.abs(heat - heat[0, 0]).max() <= 4  # without heat, grey all over
        assert np.ptp(heat[0, 0]) <= 4


def test_heat_lies_where_the_map_is_high_and_redder_the_higher() -> None:
    share = np.zeros((8, 8))
    share[1:3, 5:7] = 1.0
    share[5:7, 1:3] = 0.4
    heat = halves(np.full((320, 320, 3), 128, np.uint8), share)[1]
    highest, lower, none = heat[80, 240], heat[240, 80], heat[160, 160]
    assert highest[2] - highest[1] > lower[2] - lower[1] > none[2] - none[1] + 20
    assert np.array_equal(heat[80, 240], halves(np.full((320, 320, 3), 128, np.uint8), share * 7)[1][80, 240])


def test_a_position_that_is_not_a_number_is_seen() -> None:
    share = np.zeros((8, 8))
    share[4, 4] = np.nan
    heat = halves(np.full((320, 320, 3), 128, np.uint8), share)[1]
    assert heat[180, 180, 2] - heat[180, 180, 1] > 60
