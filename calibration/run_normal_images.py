"""Normal images through the deployed engine, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from calibration.center import Features, own_grid
from calibration.normal_images import ImageList
from edge.calibration_tensors import Array
from edge.engines.base import Engine
from edge.errors import ImageError
from edge.frame import Image
from edge.image_file import read_image
from edge.station_view import StationView
from edge.usual_change import usual_change
from edge.verdict import Scores

Progress = Callable[[], None]


def read_features(engine: Engine, view: StationView, images: ImageList, progress: Progress) -> tuple[Features, Array]:
    """Z of every image and then of each with a usual change (2N×channels×h'×w' a group, half precision); mean grey [N], 0…1.

    Some 0.6 MB an image at the default size.
    """
    brightness = np.empty(len(images), np.float32)
    features = [
        np.empty((2 * len(images), group.channels, *view.shape.group_grid(group)), np.float16) for group in view.shape.groups
    ]  # fmt: skip
    for index, (path, _) in enumerate(images):
        image = _prepared(view, path)
        plain, brightness[index] = engine.read_feature(image)
        changed, _ = engine.read_feature(usual_change(image))
        for row, feature in ((index, plain), (len(images) + index, changed)):
            if not np.isfinite(feature).all():
                raise ImageError(f"{path}: the engine gave a feature that is not finite; remove the image, or rebuild the engine")
            for kept, one in zip(features, own_grid(feature, view.shape), strict=True):
                kept[row] = one
        progress()
    return features, brightness


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
