"""Normal images through the deployed engine, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.normal_images import ImageList
from calibration.prepared_images import prepared_images
from edge.engines.base import Engine
from edge.errors import ImageError
from edge.line.station_view import StationView
from edge.slots.calibration_tensors import CalibrationTensors
from edge.verdict import Scores

Progress = Callable[[], None]


def read_terms(
    engine: Engine, view: StationView, tensors: CalibrationTensors, images: ImageList, progress: Progress
) -> tuple[NDArray[np.float64], list[Scores]]:
    """(terms [n, G+1] by ``tensors``: L1 of each group, not weighted, then L2; the scores of each). Binds the engine.

    Raises ImageError where one is not finite.
    """
    engine.bind(tensors)
    terms, scores = np.empty((len(images), len(tensors["group_weight"]) + 1)), []
    paths = [path for path, _ in images]
    for index, (path, picture) in enumerate(zip(paths, prepared_images(view, paths), strict=True)):
        terms[index], one = engine.read_terms(picture)
        scores.append(require_finite(one, path))
        progress()
    return terms, scores


def score_images(engine: Engine, view: StationView, images: ImageList, progress: Progress) -> list[Scores]:
    """Scores of each image under the bound calibration; raises ImageError where one is not finite."""
    scores = []
    paths = [path for path, _ in images]
    for path, picture in zip(paths, prepared_images(view, paths), strict=True):
        scores.append(require_finite(engine.infer(picture).scores, path))
        progress()
    return scores


def require_finite(scores: Scores, path: Path) -> Scores:
    """``scores`` of the image at ``path``; raises ImageError where one is not finite."""
    if not scores.finite():
        raise ImageError(f"{path}: the engine gave a score that is not finite; remove the image, or rebuild the engine")
    return scores
