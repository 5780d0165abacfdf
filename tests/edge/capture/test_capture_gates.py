from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.capture.capture_gates import ENOUGH, HISTORY, CaptureGates, Skip
from edge.errors import ConfigError
from edge.preprocess import Region
from tests.different_parts import different_part


def blurred(part: int, pixels: float = 2.0) -> np.ndarray:
    return cv2.GaussianBlur(different_part(part), (0, 0), pixels)


def test_exposure_is_judged_first() -> None:
    gates = CaptureGates(None)
    assert gates.judge(np.full((60, 60, 3), 3, np.uint8))[0] is Skip.DARK
    assert gates.judge(np.full((60, 60, 3), 252, np.uint8))[0] is Skip.BRIGHT
    glare = np.full((60, 60, 3), 255, np.uint8)
    glare[:10] = 0
    assert gates.judge(glare)[0] is Skip.SATURATED
    assert gates.judge(np.full((60, 60, 3), 128, np.uint8))[0] is Skip.BLURRED  # nothing on it


def test_a_still_part_counts_once_and_the_next_one_again() -> None:
    gates = CaptureGates(None)
    outcomes = [gates.judge(different_part(part))[0] for part in (0, 0, 1, 0, 1, 2)]
    assert outcomes == [None, Skip.SAME_PART, None, Skip.SAME_PART, Skip.SAME_PART, None]


def test_nothing_is_the_same_where_all_are_wanted() -> None:
    gates = CaptureGates(None, same_below=0)
    assert [gates.judge(different_part(0))[0] for _ in range(3)] == [None] * 3


def test_blur_is_told_from_what_sharp_pictures_have_shown() -> None:
    gates = CaptureGates(None)
    assert [gates.judge(different_part(part))[0] for part in range(ENOUGH)] == [None] * ENOUGH
    assert gates.judge(blurred(90))[0] is Skip.BLURRED
    assert gates.judge(different_part(90))[0] is None


def test_a_still_blurred_part_does_not_wear_the_limit_down() -> None:
    gates = CaptureGates(None)
    for part in range(ENOUGH):
        gates.judge(different_part(part))
    outcomes = {gates.judge(blurred(90))[0] for _ in range(3 * HISTORY)}
    assert outcomes == {Skip.BLURRED}


def test_another_focus_becomes_the_new_normal() -> None:
    gates = CaptureGates(None)
    for part in range(ENOUGH):
        gates.judge(different_part(part))
    outcomes = [gates.judge(blurred(100 + part))[0] for part in range(HISTORY)]
    assert outcomes[0] is Skip.BLURRED
    assert outcomes[-1] is None


def test_parts_that_differ_in_texture_are_not_taken_for_blurred() -> None:
    gates = CaptureGates(None)
    for part in range(30):
        texture = np.random.default_rng(part).normal(0, 2 ** (part % 6), (192, 256, 1))
        image = np.clip(different_part(part) + texture, 0, 255).astype(np.uint8)
        assert gates.judge(image)[0] is None


def test_only_the_region_counts() -> None:
    gates = CaptureGates(Region(0, 0, 100, 100))
    image = different_part(0)
    assert gates.judge(image)[0] is None
    outside = image.copy()
    outside[110:, 110:] = 0
    assert gates.judge(outside)[0] is Skip.SAME_PART
    with pytest.raises(ConfigError, match="reaches outside"):
        gates.judge(image[:50])


def test_a_picture_of_a_few_pixels_is_judged_too() -> None:
    assert CaptureGates(None).judge(np.full((2, 1, 3), 128, np.uint8))[0] is Skip.BLURRED
