"""Normal images through the deployed engine, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.center import Features, own_grid
from calibration.feature_moments import GroupMoments, MomentSums, add_moments
from calibration.normal_images import ImageList
from edge.calibration_tensors import Array, CalibrationTensors
from edge.engines.base import Engine
from edge.errors import ImageError
from edge.frame import Image
from edge.image_file import read_image
from edge.station_view import StationView
from edge.usual_change import usual_change
from edge.verdict import Scores

Progress = Callable[[], None]

MAXIMUM_SAMPLE = 150
"""Images whose Z is kept whole, some 0.6 MB each at the default size, plain and changed; of the others only sums stay."""


@dataclass(frozen=True)
class CenterFeatures:
    """Of images in parts, each twice: as it is, and with a usual change of place and focus.

    moments[p]: of Z of all images of part p. sample: Z of the first 150, of the parts ``sample_parts`` [n]; of the groups with
    the norm "nearest" alone, empty for the others, whose moments say all.
    brightness [N]: mean grey (0…1) of every image as it is, of the parts ``parts`` [N].
    """

    moments: list[list[GroupMoments]]
    sample: Features
    sample_parts: NDArray[np.intp]
    brightness: Array
    parts: NDArray[np.intp]

    def moments_of(self, parts: set[int]) -> list[GroupMoments]:
        """Of all images of these parts together."""
        return add_moments([self.moments[part] for part in sorted(parts)])

    def rows_of(self, parts: set[int]) -> NDArray[np.intp]:
        """Which of the sample are of these parts."""
        return np.flatnonzero(np.isin(self.sample_parts, sorted(parts)))

    def brightness_of(self, parts: set[int]) -> Array:
        """Mean grey of the images of these parts."""
        return self.brightness[np.isin(self.parts, sorted(parts))]


def read_features(engine: Engine, view: StationView, images: ImageList, parts: list[int], progress: Progress) -> CenterFeatures:
    """Z of every image; memory does not grow with their number. parts: of each image. In an order that says nothing, as by hash."""
    kept = 2 * min(len(images), MAXIMUM_SAMPLE)
    brightness = np.empty(len(images), np.float32)
    sample = [
        np.empty((kept if group.norm == "nearest" else 0, group.channels, *view.shape.group_grid(group)), np.float16)
        for group in view.shape.groups
    ]
    sums = [MomentSums(view.shape) for _ in range(max(parts) + 1)]
    for index, (path, _) in enumerate(images):
        image = _prepared(view, path)
        plain, brightness[index] = engine.read_feature(image)
        changed, _ = engine.read_feature(usual_change(image))
        for row, feature in ((2 * index, plain), (2 * index + 1, changed)):
            if not np.isfinite(feature).all():
                raise ImageError(f"{path}: the engine gave a feature that is not finite; remove the image, or rebuild the engine")
            groups = own_grid(feature, view.shape)
            sums[parts[index]].add(groups)
            if row < kept:
                for whole, one in zip(sample, groups, strict=True):
                    if len(whole):
                        whole[row] = one
        progress()
    of_image = np.array(parts)
    return CenterFeatures([one.moments() for one in sums], sample, np.repeat(of_image, 2)[:kept], brightness, of_image)


def read_terms(
    engine: Engine, view: StationView, tensors: CalibrationTensors, images: ImageList, progress: Progress
) -> tuple[NDArray[np.float64], list[Scores]]:
    """(terms [n, G+1] by ``tensors``: L1 of each group, not weighted, then L2; the scores of each). Binds the engine.

    Raises ImageError where one is not finite.
    """
    engine.bind(tensors)
    terms, scores = np.empty((len(images), len(tensors["group_weight"]) + 1)), []
    for index, (path, _) in enumerate(images):
        terms[index], one = engine.read_terms(_prepared(view, path))
        scores.append(_finite(one, path))
        progress()
    return terms, scores


def score_images(engine: Engine, view: StationView, images: ImageList, progress: Progress) -> list[Scores]:
    """Scores of each image under the bound calibration; raises ImageError where one is not finite."""
    scores = []
    for path, _ in images:
        scores.append(_finite(engine.infer(_prepared(view, path)).scores, path))
        progress()
    return scores


def _finite(scores: Scores, path: Path) -> Scores:
    if not scores.finite():
        raise ImageError(f"{path}: the engine gave a score that is not finite; remove the image, or rebuild the engine")
    return scores


def _prepared(view: StationView, path: Path) -> Image:
    return view.preprocess(read_image(path).image)
