"""A picture that cannot be judged is told, and one that can is not: on made-up pictures, and on real good ones in other light."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.pictures.frame_health import FrameHealth
from edge.pictures.frame_health_config import FrameHealthConfig
from edge.pictures.image_file import list_images, read_image
from edge.pictures.image_quality import image_quality
from edge.pictures.view_registration import SIDE, Shift, ViewRegistration, shift_between, small_grey
from edge.preprocess import preprocess
from edge.slots.slot_record import QUANTILES, Baseline
from edge.verdict import Scores

CONFIG = FrameHealthConfig()
SIZE = 256
SETS = ("bottle", "transistor", "macaroni", "magnetic_tile", "toy_figure")


def baseline(values: list[float]) -> Baseline:
    quantiles = [float(one) for one in np.quantile(values, np.linspace(0, 1, QUANTILES))]
    return Baseline(mean=0.0, deviation=0.0, low=quantiles[0], high=quantiles[-1], quantiles=quantiles)


def scores(brightness: float = 0.5, saturation: float = 0.1, sharpness: float = 40.0) -> Scores:
    return Scores(1.0, 1.0, 1.0, 1.0, brightness, saturation, sharpness)


def health(live: bool = True, references: list[np.ndarray] | None = None) -> FrameHealth:
    figures = {"brightness": baseline([0.4, 0.6]), "saturation": baseline([0.0, 0.2]), "sharpness": baseline([30.0, 50.0])}
    return FrameHealth(CONFIG, figures, references or [], live)


def noise(seed: int, size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (size, size, 3), np.uint8)


def test_the_same_picture_again_is_frozen_and_a_new_one_is_not() -> None:
    watched = health()
    assert watched.frozen(noise(0)) == ""
    assert "frozen" in watched.frozen(noise(0))
    assert "frozen" in watched.frozen(noise(0))
    assert watched.frozen(noise(1)) == ""


def test_one_pixel_that_the_sample_does_not_see_makes_another_picture() -> None:
    watched, image = health(), noise(0)
    other = image.copy()
    other[1, 1, 2] ^= 1
    assert watched.frozen(image) == ""
    assert watched.frozen(other) == ""
    assert watched.frozen(image[:-1]) == ""


def test_a_still_scene_whose_driver_goes_on_is_no_frozen_camera() -> None:
    watched = health()
    assert [bool(watched.frozen(noise(0), stamp)) for stamp in (5, 6, 6, 7)] == [False, False, True, False]


def test_a_grabber_that_stamps_the_last_picture_of_a_dead_source_anew_is_frozen() -> None:
    watched = health()
    limit_ns = round(CONFIG.still_ms * 1e6)
    shown = [watched.frozen(noise(0), stamp, stamp) for stamp in (0, limit_ns // 2, limit_ns - 1, limit_ns, 2 * limit_ns)]
    assert [bool(words) for words in shown] == [False, False, False, True, True]
    assert "same picture for 250 ms" in shown[3]
    assert watched.frozen(noise(1), 3 * limit_ns, 0) == ""


def test_two_parts_never_look_the_same_to_the_last_bit() -> None:
    watched = FrameHealth(CONFIG, {}, [], True, triggered=True)
    assert [bool(watched.frozen(noise(seed), stamp)) for seed, stamp in ((0, 5), (0, 6), (1, 7), (1, 8))] == [
        False,
        True,
        False,
        True,
    ]


def test_where_pictures_have_no_noise_a_still_one_is_no_fault() -> None:
    watched = FrameHealth(FrameHealthConfig(still_ms=None), {}, [], True, triggered=True)
    assert [watched.frozen(noise(0), stamp, stamp) for stamp in (5, 6_000_000_000)] == ["", ""]
    assert "frozen" in watched.frozen(noise(0), 6_000_000_000)


def test_a_recording_may_show_a_picture_twice() -> None:
    watched = health(live=False)
    assert watched.frozen(noise(0)) == watched.frozen(noise(0)) == ""


@pytest.mark.parametrize(
    ("came", "word"),
    [
        (scores(), ""),
        (scores(brightness=0.34), ""),
        (scores(brightness=0.15), "too dark"),
        (scores(brightness=0.0), "too dark"),
        (scores(brightness=0.69), ""),
        (scores(saturation=0.59), ""),
        (scores(saturation=0.61), "washed out"),
        (scores(sharpness=0.7), ""),
        (scores(sharpness=0.5), "blurred"),
    ],
)
def test_what_is_far_outside_of_the_good_pictures_is_told(came: Scores, word: str) -> None:
    told = health().unfit(came)
    assert (word in told) if word else told == ""


def test_a_dark_product_is_too_bright_long_before_it_is_white() -> None:
    dark = FrameHealth(CONFIG, {"brightness": baseline([0.1, 0.2])}, [], True)
    assert dark.unfit(scores(brightness=0.39)) == ""
    assert "too bright" in dark.unfit(scores(brightness=0.41))


@cache
def _bench() -> np.ndarray:
    rough = cv2.GaussianBlur(np.random.default_rng(7).integers(0, 255, (3 * SIZE, 3 * SIZE, 3), np.uint8), (0, 0), 6)
    return cv2.convertScaleAbs(rough, alpha=6, beta=-650)


def scene(seed: int, right: int = 0, down: int = 0, part: bool = True) -> np.ndarray:
    """A rough bench of its own, with a part laid somewhere on it, through a camera that was moved by so many pixels."""
    bench = _bench().copy()
    if part:
        x, y = np.random.default_rng(seed).integers(SIZE + 60, 2 * SIZE - 60, 2)
        cv2.circle(bench, (int(x), int(y)), 16, (200, 200, 200), -1)
    return np.ascontiguousarray(bench[SIZE + down : 2 * SIZE + down, SIZE + right : 2 * SIZE + right])


@settings(max_examples=40)
@given(st.integers(-25, 25), st.integers(-25, 25))
def test_a_shift_is_measured_to_a_pixel_of_the_small_picture(right: int, down: int) -> None:
    step = SIZE // SIDE
    shift = shift_between(small_grey(scene(0, part=False)), small_grey(scene(0, right * step, down * step, part=False)))
    assert abs(shift.right + right / SIDE) <= 1 / SIDE
    assert abs(shift.down + down / SIDE) <= 1 / SIDE
    assert shift.likeness > 0.9


def test_flat_pictures_have_no_shift() -> None:
    flat = np.full((SIDE, SIDE), 7, np.float32)
    assert not shift_between(flat, flat).sure
    assert not shift_between(small_grey(scene(0)), flat).sure


def test_a_moved_camera_is_told_after_some_frames_and_moved_parts_are_not() -> None:
    watched = health(references=[scene(0), scene(1)])
    assert {watched.moved(scene(seed)) for seed in range(2, 40)} == {""}
    told = [watched.moved(scene(seed, right=40)) for seed in range(40, 60)]
    assert told[:6] == [""] * 6
    assert "the view has moved by -15" in told[-1]
    assert [watched.moved(scene(seed)) for seed in range(60, 80)][-1] == ""


def test_a_move_within_the_limit_is_none() -> None:
    registration = ViewRegistration([scene(0)], 0.08)
    assert [registration.add(scene(seed, right=15)) for seed in range(30)] == [None] * 30


def test_another_picture_is_not_a_moved_one() -> None:
    registration = ViewRegistration([scene(0)], 0.08)
    assert [registration.add(noise(3)) for _ in range(30)] == [None] * 30
    assert not Shift(0.2, 0.0, 0.55, 0.5).sure


def test_without_references_or_switched_off_nothing_is_said() -> None:
    assert [health().moved(scene(0, right=60)) for _ in range(30)] == [""] * 30
    off = FrameHealth(FrameHealthConfig(moved=False), {}, [scene(0)], True)
    assert [off.moved(scene(0, right=60)) for _ in range(30)] == [""] * 30
    assert off.unfit(scores(0, 1, 0)) == ""


@pytest.mark.real_images
@pytest.mark.parametrize("name", SETS)
def test_good_parts_in_usual_light_and_focus_are_never_told(name: str) -> None:
    root = os.environ.get("EDGE_INSPECT_DATA")
    if root is None:
        pytest.skip("EDGE_INSPECT_DATA names no image sets")

    def pictures(folder: str, count: int) -> list[np.ndarray]:
        return [preprocess(read_image(path).image, 512, 512) for path in list_images(Path(root) / name / folder)[:count]]

    def measured(image: np.ndarray) -> Scores:
        figures = image_quality(image)
        return scores(figures.brightness, figures.saturation, figures.sharpness)

    normal, good = pictures("train/good", 30), pictures("test/good", 12)
    quality = [image_quality(one) for one in normal]
    figures = {key: baseline([getattr(one, key) for one in quality]) for key in ("brightness", "saturation", "sharpness")}
    watched = FrameHealth(CONFIG, figures, normal[:2], True)
    usual: list[Callable[[np.ndarray], np.ndarray]] = [
        lambda image: image,
        lambda image: cv2.convertScaleAbs(image, alpha=1.15),
        lambda image: cv2.convertScaleAbs(image, alpha=0.85),
        lambda image: cv2.GaussianBlur(image, (0, 0), 2.0),  # one pixel of 256
    ]
    for change in usual:
        for image in good:
            changed = change(image)
            assert watched.unfit(measured(changed)) == ""
            assert watched.moved(changed) == ""
    for broken in (lambda image: cv2.convertScaleAbs(image, alpha=0.1), lambda image: cv2.convertScaleAbs(image, alpha=10)):
        assert all(watched.unfit(measured(broken(image))) for image in good)
