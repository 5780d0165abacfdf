from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.capture.near_duplicates import SAME_BELOW, NearDuplicates, difference, signature
from edge.pictures.image_file import list_images, read_image
from edge.pictures.image_quality import reduced
from tests.different_parts import different_part


def noisy(image: np.ndarray, deviation: float, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.clip(image + random.normal(0, deviation, image.shape), 0, 255).astype(np.uint8)


@given(
    part=st.integers(0, 50),
    deviation=st.floats(0, 8),
    gain=st.floats(0.97, 1.03),
    across=st.floats(-0.7, 0.7),
    seed=st.integers(0, 99),
)
def test_noise_flicker_and_a_shake_leave_it_the_same_part(
    part: int, deviation: float, gain: float, across: float, seed: int
) -> None:
    image = different_part(part)
    shaken = cv2.warpAffine(image, np.array([[1, 0, across], [0, 1, 0.3]]), image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    inner = np.s_[4:-4, 4:-4]  # what the shift brings in at the border is not of the picture
    other = noisy(gain * shaken.astype(np.float32), deviation, seed)
    assert difference(signature(noisy(image, deviation, seed + 1)[inner]), signature(other[inner])) < SAME_BELOW


@given(one=st.integers(0, 50), other=st.integers(0, 50))
def test_another_part_is_another_in_either_order(one: int, other: int) -> None:
    first, second = signature(different_part(one)), signature(different_part(other))
    assert (difference(first, second) < SAME_BELOW) == (one == other)
    assert difference(first, second) == pytest.approx(difference(second, first), abs=0.05)


def test_a_small_mark_is_a_difference() -> None:
    marked = different_part(1)
    marked[100:116, 60:76] = 255 - marked[100:116, 60:76]
    assert difference(signature(different_part(1)), signature(marked)) > SAME_BELOW


def test_only_the_last_ones_are_remembered_and_another_size_is_another_part() -> None:
    kept = NearDuplicates(memory=2)
    for part in range(3):
        kept.remember(signature(different_part(part)))
    assert [kept.holds(signature(different_part(part))) for part in range(3)] == [False, True, True]
    assert not kept.holds(signature(different_part(2)[:100]))


@pytest.mark.real_images
@pytest.mark.parametrize("name", ["bottle", "transistor", "macaroni", "toy_figure", "magnetic_tile"])
def test_real_good_parts_are_all_different_and_noisy_copies_are_not(name: str) -> None:
    if "EDGE_INSPECT_DATA" not in os.environ:
        pytest.skip("no real images here (EDGE_INSPECT_DATA is not set)")
    paths = list_images(Path(os.environ["EDGE_INSPECT_DATA"]) / name / "train" / "good")[:100]
    kept = NearDuplicates(memory=len(paths))
    for index, path in enumerate(paths):
        image = reduced(read_image(path).image)
        assert not kept.holds(signature(noisy(image, 3, index))), path
        kept.remember(signature(image))
        assert kept.holds(signature(noisy(image, 10, index))), path
