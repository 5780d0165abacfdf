"""From normal images to everything a slot holds: C and the norm's statistics, λ1 and λ2, the threshold and its promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from calibration.brightness import brightness_range
from calibration.center import derive_center
from calibration.normal_images import Jobs
from calibration.run_normal_images import read_features, score_images
from calibration.term_weights import WeightRule, weigh_terms
from calibration.threshold import DEFAULT_CONFIDENCE, choose_threshold
from edge.calibration_slot import QUANTILES, Baseline, Promise
from edge.calibration_tensors import Array, CalibrationTensors
from edge.engines.base import Engine
from edge.errors import ImageError
from edge.station_view import StationView
from edge.verdict import Scores

WEIGHTS = ("group_weight", "feature_weight", "reconstruction_weight")
Progress = Callable[[str, int, int], None]
"""(what, done, total)"""


@dataclass(frozen=True)
class Derived:
    """The result. ``scores``: of the threshold images, in their order, under ``tensors``; the engine is bound to these."""

    tensors: CalibrationTensors
    threshold: float
    promise: Promise
    scores: list[Scores]
    baseline: dict[str, Baseline]


def derive(
    engine: Engine,
    view: StationView,
    start: CalibrationTensors,
    jobs: Jobs,
    reliability: list[float],
    progress: Progress,
    rate: float | None = None,
    confidence: float = DEFAULT_CONFIDENCE,
    rule: WeightRule = "spread",
) -> Derived:
    """Calibrate through ``engine``. start: the bundle's tensors, whose C stays where ``jobs.center`` is empty.
    reliability: the bundle's, of each term.

    The threshold images are scored with the final tensors bound, so that the threshold is of the very arithmetic that inspects.
    Raises ImageError and TooFewImagesError.
    """
    weight_passes = 0 if rule == "bundle" else len(start["group_weight"])
    total = len(jobs.center) + weight_passes * len(jobs.weights) + len(jobs.threshold)
    done = 0

    def step(what: str) -> Callable[[], None]:
        def one() -> None:
            nonlocal done
            done += 1
            progress(what, done, total)

        return one

    tensors = start.with_ignore_mask(view.ignore_mask)
    if jobs.center:
        engine.bind(CalibrationTensors.neutral(view.shape))
        features, brightness = read_features(engine, view, jobs.center, step("C"))
        tensors = derive_center(features, view.shape, view.ignore_mask).with_ignore_mask(view.ignore_mask)
        tensors = tensors.replace(brightness_range=brightness_range(brightness))
        if rule == "bundle":
            tensors = tensors.replace(**{name: start[name] for name in WEIGHTS})
    if rule != "bundle":
        tensors = _with_weights(engine, view, tensors, jobs, step("λ1, λ2"), reliability, rule)
    engine.bind(tensors)
    scores = score_images(engine, view, jobs.threshold, step("threshold"))
    values = _figure(scores, "score")
    if float(values.max()) == float(values.min()):
        raise ImageError("all images score the same, so they say nothing of how good parts vary; take pictures of different parts")
    threshold, promise = choose_threshold(values, jobs.exact, rate, confidence)
    names = Scores.__dataclass_fields__
    return Derived(tensors, threshold, promise, scores, {name: _baseline(_figure(scores, name)) for name in names})


def _with_weights(
    engine: Engine,
    view: StationView,
    tensors: CalibrationTensors,
    jobs: Jobs,
    progress: Callable[[], None],
    reliability: list[float],
    rule: WeightRule,
) -> CalibrationTensors:
    """The groups' weights, λ1 and λ2, from the scores of the weight images; each group is scored apart."""
    groups = len(tensors["group_weight"])
    terms, scores = [], []
    for group in range(groups):
        engine.bind(tensors.with_group_weights([float(group == other) for other in range(groups)]))
        scores = score_images(engine, view, jobs.weights, progress)
        terms.append(_figure(scores, "feature_score"))
    terms.append(_figure(scores, "reconstruction_score"))
    group_weights, feature_weight, reconstruction_weight = weigh_terms(np.stack(terms, axis=1), reliability, rule)
    return tensors.with_group_weights(group_weights).with_weights(feature_weight, reconstruction_weight)


def _figure(scores: list[Scores], name: str) -> Array:
    return np.array([getattr(one, name) for one in scores], np.float32)


def _baseline(values: Array) -> Baseline:
    low, high = np.quantile(values, (0.01, 0.99))
    quantiles = sorted(float(one) for one in np.quantile(values.astype(np.float64), np.linspace(0, 1, QUANTILES)))
    return Baseline(mean=float(values.mean()), deviation=float(values.std()), low=float(low), high=float(high), quantiles=quantiles)
