"""Normal images through the deployed engine, one at a time: memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from calibration.center import MAXIMUM_CANDIDATES, sample_positions
from calibration.normal_images import ImageList
from edge.calibration_tensors import Array
from edge.engines.base import Engine
from edge.errors import ImageError
from edge.frame import Image
from edge.image_file import read_image
from edge.station_view import StationView
from edge.verdict import Scores

Progress = Callable[[], None]


def feature_sample(engine: Engine, view: StationView, images: ImageList, progress: Progress) -> Array:
    """A fixed-size sample of Z over ``images`` and their judged positions, float32 n×D, the same for the same files."""
    judged = view.ignore_mask < 0.5
    each = max(1, MAXIMUM_CANDIDATES // len(images))
    rows = []
    for path, digest in images:
        feature = engine.read_feature(_prepared(view, path))
        if not np.isfinite(feature).all():
            raise ImageError(f"{path}: the engine gave a feature that is not finite; remove the image, or rebuild the engine")
        rows.append(sample_positions(feature[:, judged], each, int(digest[:8], 16)))
        progress()
    return np.concatenate(rows)


def score_images(engine: Engine, view: StationView, images: ImageList, progress: Progress) -> list[Scores]:
    """Scores of each image under the bound calibration; raises ImageError where one is not finite."""
    scores = []
    for path, _ in images:
        one = engine.infer(_prepared(view, path)).scores
        if not one.finite():
            raise ImageError(f"{path}: the engine gave a score that is not finite; remove the image, or rebuild the engine")
        scores.append(one)
        progress()
    return scores


def _prepared(view: StationView, path: Path) -> Image:
    return view.preprocess(read_image(path).image)
