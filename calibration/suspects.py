"""Images that may not belong among the normal ones: defective parts and mis-shot pictures, found by how far off they are."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.image_result import ImageResult

Values = NDArray[np.floating[Any]]

SCORE_LIMIT = 6.0
"""In robust deviations. The largest of many positions has a Gumbel tail: of 200 good parts the highest is then at about 4."""
QUALITY_LIMIT = 8.0
MINIMUM = 8
"""Fewer do not say what is usual."""
LEAST_SHARE = 0.05
"""A score or sharpness nearer to the median than six or eight times this part of it is no reason, however alike the others are."""
LEAST_SATURATION = 0.01
LEAST_BRIGHTNESS = 0.01

SCORES = {
    "feature_score": "its L1 is {value:.3g}, the others' median {median:.3g}: a defect, or another part",
    "reconstruction_score": "its L2 is {value:.3g}, the others' median {median:.3g}: a defect, or another part",
    "score": "its score is {value:.3g}, the others' median {median:.3g}: a defect, or another part",
}


def with_suspects(images: list[ImageResult]) -> list[ImageResult]:
    """The same, each with the reasons to suspect it. Scores are compared within a job, since C differs between them."""
    reasons: dict[int, list[str]] = defaultdict(list)
    by_job: dict[str, list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        by_job["center" if image.job == "center" else "fresh"].append(index)
    for members in by_job.values():
        for name, words in SCORES.items():
            values = np.array([getattr(images[index], name) for index in members])
            _note(reasons, members, values, far_above(values, SCORE_LIMIT), words)
    everyone = list(range(len(images)))
    for name, words, far in (
        ("sharpness", "blurred: its sharpness is {value:.3g}, the others' median {median:.3g}", _much_less_sharp),
        ("brightness", "dark: its brightness is {value:.2f}, the others' median {median:.2f}", _darker),
        ("brightness", "bright: its brightness is {value:.2f}, the others' median {median:.2f}", _brighter),
        ("saturation", "overexposed: {value:.0%} of it is saturated, the others' median {median:.0%}", _more_saturated),
    ):
        values = np.array([getattr(image, name) for image in images])
        _note(reasons, everyone, values, far(values), words)
    return [replace(image, suspect=tuple(reasons[index])) for index, image in enumerate(images)]


def far_above(values: Values, limit: float, least: float | None = None) -> NDArray[np.bool_]:
    """Which of ``values`` [n] lie more than ``limit`` robust deviations above the median; none of fewer than 8.

    The deviation is of the upper half, (q75 − q50)/0.6745, since scores are skewed; up to a quarter of bad images cannot hide
    themselves in it. It is at least ``least``, by default a twentieth of the median.
    """
    if len(values) < MINIMUM:
        return np.zeros(len(values), bool)
    middle, upper = np.quantile(values, (0.5, 0.75))
    deviation = max((upper - middle) / 0.6745, LEAST_SHARE * abs(middle) if least is None else least, 1e-9)
    return np.asarray(values > middle + limit * deviation)


def _much_less_sharp(values: Values) -> NDArray[np.bool_]:
    # Sharpness is a mean square: what counts is its ratio.
    return far_above(-np.log(np.maximum(values, 1e-12)), QUALITY_LIMIT, 2 * LEAST_SHARE)


def _darker(values: Values) -> NDArray[np.bool_]:
    return far_above(-values, QUALITY_LIMIT, LEAST_BRIGHTNESS)


def _brighter(values: Values) -> NDArray[np.bool_]:
    return far_above(values, QUALITY_LIMIT, LEAST_BRIGHTNESS)


def _more_saturated(values: Values) -> NDArray[np.bool_]:
    return far_above(values, QUALITY_LIMIT, LEAST_SATURATION)


def _note(reasons: dict[int, list[str]], members: list[int], values: Values, far: NDArray[np.bool_], words: str) -> None:
    for place in np.flatnonzero(far):
        reasons[members[place]].append(words.format(value=float(values[place]), median=float(np.median(values))))
