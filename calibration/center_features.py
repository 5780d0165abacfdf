"""Z of the images that set C, read part by part in bounded memory; parts read late are scored by the C of those before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.center import Features, own_grid
from calibration.feature_moments import GroupMoments, MomentSums, add_moments
from calibration.normal_images import ImageList
from calibration.prepared_images import prepared_images
from calibration.run_normal_images import Progress, require_finite
from edge.engines.base import Engine
from edge.errors import ImageError
from edge.line.station_view import StationView
from edge.pictures.usual_change import usual_change
from edge.slots.calibration_tensors import ANY_BRIGHTNESS, Array, CalibrationTensors
from edge.verdict import Scores

MAXIMUM_SAMPLE = 150
"""Images whose Z is kept whole, some 0.25 MB each at the default size; of the others only sums stay."""
MAXIMUM_CHANGED = 112
"""Images that are also read with a usual change; each of them counts for as many as there are images that it stands for. With 64 of
250 more good parts of macaroni were rejected when moved by 2 %, with 128 as few as with all (ADR 10)."""

Terms = NDArray[np.float64]


@dataclass(frozen=True)
class ReadTerms:
    """Of some images, by indices: terms [n, G+1] (L1 of each group, not weighted, then L2), and the scores they came with."""

    indices: list[int]
    terms: Terms
    scores: list[Scores]


class CenterFeatures:
    """Of images in parts, each as it is, and the first 112 also with a usual change of place, focus and light.

    Give ``images`` in an order that says nothing, as by hash, and ``parts`` of each; then ``read`` each part once, in any order:
    what is kept is the same. Of the groups with the norm "nearest" Z of the first 150 is kept, plain, and then of the 112, changed;
    of the others the moments say all. Memory does not grow with the number of images.
    """

    def __init__(self, engine: Engine, view: StationView, images: ImageList, parts: list[int], progress: Progress) -> None:
        self._engine, self._view, self._images, self._progress = engine, view, images, progress
        self._parts = np.array(parts)
        kept, changed = min(len(images), MAXIMUM_SAMPLE), min(len(images), MAXIMUM_CHANGED)
        self._kept, self._changed = kept, changed
        self.sample: Features = [
            np.empty((kept + changed if group.norm == "nearest" else 0, group.channels, *view.shape.group_grid(group)), np.float16)
            for group in view.shape.groups
        ]
        self._sample_parts = np.concatenate([self._parts[:kept], self._parts[:changed]])
        self._plain_sums = [MomentSums(view.shape) for _ in range(max(parts) + 1)]
        self._changed_sums = [MomentSums(view.shape) for _ in range(max(parts) + 1)]
        self._brightness = np.empty(len(images), np.float32)

    def read(self, part: int) -> None:
        """Z of every image of ``part``; binds the engine."""
        self._read(part, None)

    def read_and_score(self, part: int, tensors: CalibrationTensors) -> ReadTerms:
        """The same, and the images' terms by ``tensors``, which come from other parts, in the same passes; binds the engine.

        Z is read at the brightness the picture has. Where that lies outside the range of ``tensors``, the graph would correct it
        and the terms are others: such an image is scored in a pass of its own.
        """
        result = self._read(part, tensors)
        assert result is not None
        low, high = tensors["brightness_range"] / 255.0
        outside = [row for row, index in enumerate(result.indices) if not low < self._brightness[index] < high]
        self._engine.bind(tensors)
        pictures = prepared_images(self._view, [self._path(result.indices[row]) for row in outside])
        for row, picture in zip(outside, pictures, strict=True):
            result.terms[row], result.scores[row] = self._engine.read_terms(picture)
            require_finite(result.scores[row], self._path(result.indices[row]))
        return result

    def moments_of(self, parts: set[int]) -> list[GroupMoments]:
        """Of all images of these parts together, as they are and changed in equal shares."""
        plain, changed = (add_moments([sums[part].moments() for part in sorted(parts)]) for sums in self._sums())
        if not changed[0].count:
            return plain
        return [one + other.counted_as(one.count) for one, other in zip(plain, changed, strict=True)]

    def rows_of(self, parts: set[int]) -> NDArray[np.intp]:
        """Which of the sample are of these parts."""
        return np.flatnonzero(np.isin(self._sample_parts, sorted(parts)))

    def brightness_of(self, parts: set[int]) -> NDArray[np.floating[Any]]:
        """Mean grey (0…1) of the images of these parts, as they are."""
        return self._brightness[np.isin(self._parts, sorted(parts))]

    def _sums(self) -> tuple[list[MomentSums], list[MomentSums]]:
        return self._plain_sums, self._changed_sums

    def _read(self, part: int, tensors: CalibrationTensors | None) -> ReadTerms | None:
        given = CalibrationTensors.neutral(self._view.shape) if tensors is None else tensors
        self._engine.bind(given.replace(brightness_range=np.array(ANY_BRIGHTNESS, np.float32)))
        indices = [int(index) for index in np.flatnonzero(self._parts == part)]
        terms, scores = np.empty((len(indices), len(self._view.shape.groups) + 1)), []
        pictures = prepared_images(self._view, [self._path(index) for index in indices])
        for row, (index, picture) in enumerate(zip(indices, pictures, strict=True)):
            if tensors is None:
                feature, self._brightness[index] = self._engine.read_feature(picture)
            else:
                feature, terms[row], one = self._engine.read_feature_and_terms(picture)
                self._brightness[index] = one.brightness
                scores.append(require_finite(one, self._path(index)))
            self._keep(feature, index, self._plain_sums[part], index, self._kept)
            if index < self._changed:
                feature, _ = self._engine.read_feature(usual_change(picture))
                self._keep(feature, index, self._changed_sums[part], self._kept + index, self._kept + self._changed)
            self._progress()
        return None if tensors is None else ReadTerms(indices, terms, scores)

    def _keep(self, feature: Array, index: int, sums: MomentSums, row: int, rows: int) -> None:
        if not np.isfinite(feature).all():
            raise ImageError(
                f"{self._path(index)}: the engine gave a feature that is not finite; remove the image, or rebuild the engine"
            )
        groups = own_grid(feature, self._view.shape)
        sums.add(groups)
        if row < rows:
            for whole, one in zip(self.sample, groups, strict=True):
                if len(whole):
                    whole[row] = one

    def _path(self, index: int) -> Path:
        return self._images[index][0]
