"""Does an 8-bit model score this site's parts as the wider model of its bundle does? Its ranges are of other images, and stay."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.derive import Derived
from calibration.errors import PrecisionsDisagreeError
from calibration.normal_images import ImageList
from calibration.run_normal_images import score_images
from edge.bundle import Bundle
from edge.engines.base import Engine
from edge.engines.build_observer import BuildObserver
from edge.engines.open_engine import open_chosen_engine
from edge.line.station_view import StationView
from edge.slots.calibration_tensors import CalibrationTensors

Values = NDArray[np.floating[Any]]
WIDER = {"int8": ("fp16", "fp32"), "int8-cpu": ("fp32",)}
TOLERANCE = 0.05
"""Where the bundle names none."""
MOST = 32
"""Images; those of the export's own gate are not many more."""


@dataclass(frozen=True)
class Agreement:
    """Over ``images``: the largest difference of L1, L2 or L, relative to the largest of its kind, as the export's gate has it."""

    precision: str
    wider: str
    images: int
    difference: float

    def __str__(self) -> str:
        return f"{self.precision} scores {self.images} of these images as {self.wider} does, within {self.difference:.1%}"


def wider_precision(bundle: Bundle, precision: str) -> str | None:
    """What ``precision`` is compared with: for 8 bits the next wider model that the bundle has, else None."""
    return next((one for one in WIDER.get(precision, ()) if one in bundle.precisions()), None)


def compare_with_wider(
    bundle: Bundle,
    engine: Engine,
    options: argparse.Namespace,
    view: StationView,
    derived: Derived,
    steps: Callable[[str, int], Callable[[], None]],
    observer: BuildObserver,
) -> Agreement | None:
    """None where ``options.precision`` has nothing wider to be compared with. Else closes ``engine``: a device may hold one only.

    Raises PrecisionsDisagreeError beyond the tolerance at which the export took the model.
    """
    wider = wider_precision(bundle, options.precision)
    if wider is None:
        return None
    images = [(image.path, image.sha256) for image in derived.judged[:MOST]]  # by hash, and so a random choice
    # By the bundle's own C, as the export compared them: one that was read through 8 bits is nearer to these.
    tensors = bundle.start_calibration().with_ignore_mask(view.ignore_mask)
    step = steps("compared", 2 * len(images))
    narrow = _scores(engine, tensors, view, images, step)
    engine.close()
    with open_chosen_engine(bundle, options, wider, observer) as other:
        wide = _scores(other, tensors, view, images, step)
    difference = float(relative_differences(wide, narrow).max())
    tolerance = bundle.manifest.precision_tolerance.get(options.precision, TOLERANCE)
    if difference > tolerance:
        raise PrecisionsDisagreeError(
            f"{options.precision}: scores of these images are up to {difference:.1%} off {wider}'s, {tolerance:.1%} is allowed; "
            f"calibrate with --precision {wider}, or export again with --calib and images of this site"
        )
    return Agreement(options.precision, wider, len(images), difference)


def relative_differences(wide: Values, narrow: Values) -> Values:
    """Of ``narrow`` [n, 3] from ``wide``, each column relative to its largest in ``wide``: [n, 3].

    Not to each score's own: an image that is a centre itself has the distance 0, and only rounding is left.
    """
    return np.asarray(np.abs(narrow - wide) / np.maximum(np.abs(wide).max(axis=0), 1e-6))


def _scores(engine: Engine, tensors: CalibrationTensors, view: StationView, images: ImageList, step: Callable[[], None]) -> Values:
    engine.bind(tensors)
    scores = score_images(engine, view, images, step)
    return np.array([(one.feature_score, one.reconstruction_score, one.score) for one in scores])
