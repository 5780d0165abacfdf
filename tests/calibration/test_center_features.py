"""Z and held-out terms in one pass are those of two; the order of reading says nothing; a decoder ahead changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration import center_features
from calibration.brightness import brightness_range
from calibration.center import center_from_moments
from calibration.center_features import CenterFeatures
from calibration.feature_moments import MomentSums
from calibration.normal_images import ImageList
from calibration.prepared_images import AHEAD, prepared_images
from calibration.run_normal_images import read_terms
from edge.bundle import open_bundle
from edge.engines.base import Engine
from edge.engines.open_engine import open_engine
from edge.errors import ImageError
from edge.graph_contract import FeatureGroup, GraphShape
from edge.line.station_view import StationView, station_view
from edge.slots.calibration_tensors import CalibrationTensors
from edge.station_config import StationConfig
from tests.tiny_bundle import SHAPE, part_image


@pytest.fixture
def view() -> StationView:
    return station_view(StationConfig.model_validate({}), SHAPE)


@pytest.fixture
def engine(bundle_dir: Path) -> Iterator[Engine]:
    with open_engine(open_bundle(bundle_dir)) as opened:
        yield opened


@pytest.fixture
def images(tmp_path: Path) -> ImageList:
    """40 parts, of which some are much lighter or darker than the rest."""
    for index in range(40):
        factor = {7: 0.6, 20: 1.5, 33: 1.4}.get(index, 1.0)
        assert cv2.imwrite(str(tmp_path / f"{index:02d}.png"), cv2.convertScaleAbs(part_image(index), alpha=factor))
    return [(tmp_path / f"{index:02d}.png", f"{index:064d}") for index in range(40)]


def halves(engine: Engine, view: StationView, images: ImageList) -> CenterFeatures:
    return CenterFeatures(engine, view, images, [index % 2 for index in range(len(images))], lambda: None)


def center(features: CenterFeatures, parts: set[int]) -> CalibrationTensors:
    tensors = center_from_moments(features.moments_of(parts), features.sample, SHAPE, rows=features.rows_of(parts))
    return tensors.replace(brightness_range=brightness_range(features.brightness_of(parts)))


def test_a_part_is_scored_while_it_is_read_as_it_would_be_afterwards(engine: Engine, view: StationView, images: ImageList) -> None:
    features = halves(engine, view, images)
    features.read(0)
    other = center(features, {0}).with_weights(0.5, 2.0)
    read = features.read_and_score(1, other)
    assert read.indices == list(range(1, 40, 2))
    terms, scores = read_terms(engine, view, other, [images[index] for index in read.indices], lambda: None)
    assert np.array_equal(read.terms, terms)
    assert read.scores == scores
    low, high = other["brightness_range"] / 255
    assert any(not low < one.brightness < high for one in scores)


def test_c_is_the_same_in_whatever_order_its_parts_are_read(engine: Engine, view: StationView, images: ImageList) -> None:
    one, other = halves(engine, view, images), halves(engine, view, images)
    one.read(0)
    one.read_and_score(1, center(one, {0}))
    other.read(1)
    other.read(0)
    for parts in ({0}, {1}, {0, 1}):
        for (name, first), (_, second) in zip(center(one, parts).items(), center(other, parts).items(), strict=True):
            assert np.array_equal(first, second), name


def test_the_changed_images_weigh_as_much_as_the_plain_ones(
    engine: Engine, view: StationView, images: ImageList, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the change a constant, the mean lies half-way, however few are changed."""
    white = np.full((64, 64, 3), 255, np.uint8)
    monkeypatch.setattr(center_features, "usual_change", lambda image: white)
    means = {}
    for changed in (0, 5, 40):
        monkeypatch.setattr(center_features, "MAXIMUM_CHANGED", changed)
        features = halves(engine, view, images)
        features.read(0)
        features.read(1)
        (moments,) = features.moments_of({0, 1})
        means[changed] = moments.mean()
        assert moments.count == (40 if changed == 0 else 80)
        assert len(features.rows_of({0, 1})) == 40 + changed
    assert means[5] == pytest.approx((means[0] + 1.0) / 2, abs=1e-3)
    assert means[5] == pytest.approx(means[40], abs=1e-6)


def test_moments_counted_as_more_images_keep_mean_and_covariance() -> None:
    shape = GraphShape(
        height=16, width=16, centers=2, feature_height=2, feature_width=2, map_height=2, map_width=2,
        groups=[FeatureGroup(channels=3, norm="mahalanobis")],
    )  # fmt: skip
    sums = MomentSums(shape)
    for one in np.random.default_rng(0).normal(2, 1, (12, 3, 2, 2)).astype(np.float32):
        sums.add([one])
    (few,) = sums.moments()
    more = few.counted_as(90)
    assert more.count == 90
    assert more.mean() == pytest.approx(few.mean())
    assert more.covariance(more.mean()) == pytest.approx(few.covariance(few.mean()))


def test_a_feature_that_is_not_finite_names_its_image(
    engine: Engine, view: StationView, images: ImageList, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "read_feature", lambda image: (np.full((2, 8, 8), np.nan, np.float32), 0.5))
    with pytest.raises(ImageError, match=r"00\.png: the engine gave a feature that is not finite"):
        halves(engine, view, images).read(0)


def test_pictures_come_in_order_and_an_unreadable_one_fails_in_its_turn(view: StationView, images: ImageList) -> None:
    paths = [path for path, _ in images]
    whole = list(prepared_images(view, paths))
    assert all(np.array_equal(one, next(iter(prepared_images(view, [path])))) for one, path in zip(whole, paths, strict=True))
    paths[5].write_bytes(b"no picture")
    got = prepared_images(view, paths)
    for index in range(5):
        assert np.array_equal(next(got), whole[index])
    with pytest.raises(ImageError, match=r"05\.png"):
        next(got)


def test_whoever_stops_early_leaves_no_thread(view: StationView, images: ImageList) -> None:
    before = threading.active_count()
    decoded = []

    def paths() -> Iterator[Path]:
        for path, _ in images:
            decoded.append(path)
            yield path

    got = prepared_images(view, paths())
    next(got)
    got.close()
    assert threading.active_count() == before
    assert len(decoded) == AHEAD + 1
