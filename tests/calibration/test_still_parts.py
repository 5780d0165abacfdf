from __future__ import annotations

import os
import random
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.still_parts import FEWEST, Alike, StillParts
from edge.frame import Image
from edge.pictures.image_file import ImageFile, list_images, read_image
from edge.preprocess import Region


def part(seed: int, spread: float = 40.0) -> Image:
    """A part of large blobs, as different from another seed's as ``spread`` says."""
    chance = np.random.default_rng(seed)
    blobs = cv2.resize(chance.normal(0, spread, (6, 6)), (240, 240), interpolation=cv2.INTER_CUBIC)
    return np.clip(np.repeat(128 + blobs[..., None], 3, axis=2), 0, 255).astype(np.uint8)


def frame(image: Image, seed: int) -> Image:
    """Another picture of the same still part."""
    chance = np.random.default_rng(seed)
    shift = int(chance.integers(0, 2))
    shaken = np.pad(image, ((0, 0), (shift, 0), (0, 0)), mode="edge")[:, : image.shape[1]].astype(np.float64)
    return np.clip(shaken * chance.uniform(0.98, 1.02) + chance.normal(0, 5, image.shape), 0, 255).astype(np.uint8)


def found(pictures: dict[str, Image], learned: set[str] = frozenset(), region: Region | None = None) -> Alike:  # type: ignore[assignment]
    still = StillParts(region)
    for digest, image in pictures.items():
        still.add(ImageFile(Path(digest), image, digest))
    return still.find(learned)


def test_each_part_is_left_once_whatever_the_order() -> None:
    pictures = {f"{seed}-{take}": frame(part(seed), 10 * seed + take) for seed in range(12) for take in range(4)}
    alike = found(pictures)
    assert len(alike.repeats) == 12 * 3
    kept = pictures.keys() - alike.repeats.keys()
    assert {digest.split("-")[0] for digest in kept} == {str(seed) for seed in range(12)}
    assert all(digest.split("-")[0] == other.split("-")[0] for digest, other in alike.repeats.items())
    assert not alike.all_alike
    for seed in range(3):
        order = list(pictures)
        random.Random(seed).shuffle(order)
        assert found({digest: pictures[digest] for digest in order}) == alike


def test_a_picture_that_the_training_saw_stands_for_the_others() -> None:
    pictures = {f"{seed}-{take}": frame(part(seed), 10 * seed + take) for seed in range(12) for take in range(2)}
    learned = {f"{seed}-1" for seed in range(12)}
    assert found(pictures, learned).repeats == {f"{seed}-0": f"{seed}-1" for seed in range(12)}


def test_parts_in_a_fixture_that_are_nearly_the_same_all_count() -> None:
    alike = found({str(seed): frame(part(0) // 2 + part(seed) // 50, seed) for seed in range(30)})
    assert alike.repeats == {}
    assert alike.all_alike


def test_different_parts_are_no_repeats_of_each_other() -> None:
    assert found({str(seed): part(seed) for seed in range(60)}).repeats == {}


def test_too_few_tell_nothing() -> None:
    assert found({str(take): frame(part(1), take) for take in range(FEWEST - 1)}).repeats == {}
    assert found({}).repeats == {}


def test_pictures_of_different_sizes_are_of_different_parts() -> None:
    pictures = {str(seed): part(seed)[: 100 + seed] for seed in range(20)}
    assert found(pictures).repeats == {}


def test_only_the_region_counts() -> None:
    region = Region(120, 0, 120, 240)
    still = part(0)
    pictures = {str(seed): np.hstack([part(seed)[:, :120], frame(still, seed)[:, 120:]]) for seed in range(6)}
    pictures |= {str(seed): part(seed) for seed in range(6, 26)}
    assert len(found(pictures, region=region).repeats) == 5
    assert found(pictures).repeats == {}


@pytest.mark.real_images
@pytest.mark.parametrize("name", ["bottle", "transistor", "macaroni", "toy_figure", "magnetic_tile"])
def test_no_real_good_part_is_taken_for_another_and_copies_are_found(name: str) -> None:
    if "EDGE_INSPECT_DATA" not in os.environ:
        pytest.skip("no real images here (EDGE_INSPECT_DATA is not set)")
    paths = list_images(Path(os.environ["EDGE_INSPECT_DATA"]) / name / "train" / "good")[:40]
    pictures = {path.name: read_image(path).image for path in paths}
    assert found(pictures).repeats == {}
    copies = {f"{part} again": frame(pictures[part], index) for index, part in enumerate(sorted(pictures)[::5])}
    repeats = found(pictures | copies).repeats
    assert all(
        {one, other} == {one.removesuffix(" again"), f"{one.removesuffix(' again')} again"} for one, other in repeats.items()
    )
    assert len(repeats) >= 0.8 * len(copies)  # magnetic tiles differ in size: some are a few cells only
