"""From normal images to everything a slot holds: C and the norm's statistics, λ1 and λ2, the threshold and its promise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.blend import blend_center
from calibration.brightness import brightness_range
from calibration.center import center_from_moments
from calibration.center_features import CenterFeatures, ReadTerms
from calibration.cross_fit import CrossFit, FoldTerms, cross_fit, joint
from calibration.image_result import ImageResult, Job
from calibration.normal_images import ImageList, Jobs
from calibration.run_normal_images import read_terms, score_images
from calibration.session_shift import SessionShare, session_shares
from calibration.suspects import with_suspects
from calibration.term_weights import WeightRule, weigh_terms
from calibration.threshold import DEFAULT_CONFIDENCE, choose_threshold, require_supported
from edge.drift.drift_detector import FIGURES
from edge.engines.base import Engine
from edge.errors import ImageError
from edge.line.station_view import StationView
from edge.slots.calibration_tensors import Array, CalibrationTensors
from edge.slots.slot_record import QUANTILES, Baseline, Promise
from edge.verdict import Scores

Values = NDArray[np.floating[Any]]
WEIGHTS = ("group_weight", "feature_weight", "reconstruction_weight")
Progress = Callable[[str, int, int], None]
"""(what, done, total)"""
DEFAULT_BLEND = 0.5
HALF, HALF_OF = (0, 2), 5
"""Two of five images are the first half of C, which alone is read twice: the others are scored while they are read."""
WEIGHTS_STRIPE = 4
"""In a cross-fit with its own C, every fourth image of a fold sets the weights of the other folds, and the rest their C."""


@dataclass(frozen=True)
class Wishes:
    """What a person asked for. rate: None for the best the images allow. accept: extrapolate to a rate beyond them.

    blend: the site's share of a blended C.
    """

    rate: float | None = None
    confidence: float = DEFAULT_CONFIDENCE
    rule: WeightRule = "spread"
    accept: bool = False
    blend: float = DEFAULT_BLEND


@dataclass(frozen=True)
class Derived:
    """The result; the engine is bound to ``tensors``.

    baseline: of the images that set the threshold, by statistics they did not enter, as parts to come will be.
    images: every image that did a job, by job and hash. sessions: empty where the threshold's images are of one.
    scored_by: sha256 → the tensors by whose C an image was scored, where these are others because it entered the final C.
    """

    tensors: CalibrationTensors
    threshold: float
    promise: Promise
    baseline: dict[str, Baseline]
    images: list[ImageResult]
    sessions: list[SessionShare]
    scored_by: Mapping[str, CalibrationTensors]

    @property
    def judged(self) -> list[ImageResult]:
        """The images that set the threshold."""
        return _judged(self.images)

    @property
    def suspects(self) -> list[ImageResult]:
        """The images that may not belong among the normal ones."""
        return [image for image in self.images if image.suspect]


def derive(
    engine: Engine,
    view: StationView,
    start: CalibrationTensors,
    jobs: Jobs,
    reliability: list[float],
    progress: Progress,
    wishes: Wishes | None = None,
) -> Derived:
    """Calibrate through ``engine``. start: the bundle's tensors, whose C stays where ``jobs.center`` is empty.
    reliability: the bundle's, of each term.

    In a split the threshold images are scored with the final tensors bound, so that the threshold is of the very arithmetic that
    inspects; in a cross-fit, by those of the other folds. Raises ImageError and TooFewImagesError.
    """
    wishes = wishes or Wishes()
    require_supported(len(jobs.threshold), wishes.rate, wishes.confidence, wishes.accept)
    run = _Run(engine, view, start.with_ignore_mask(view.ignore_mask), jobs, reliability, progress, wishes)
    tensors, images = run.split() if jobs.folds is None else run.cross_fit()
    engine.bind(tensors)
    judged = _judged(images)
    values = np.array([image.score for image in judged], np.float32)
    if float(values.max()) == float(values.min()):
        raise ImageError("all images score the same, so they say nothing of how good parts vary; take pictures of different parts")
    threshold, promise = choose_threshold(values, jobs.kind, wishes.rate, wishes.confidence, wishes.accept)
    shares = session_shares(images, threshold, promise.false_reject_rate, promise.confidence)
    baseline = {name: _baseline(np.array([getattr(one, name) for one in judged], np.float32)) for name in FIGURES}
    return Derived(tensors, threshold, promise, baseline, with_suspects(images), shares, run.scored_by)


@dataclass(frozen=True)
class _Half:
    """One half of the images of C, and the C of the ``other`` that scored it."""

    read: ReadTerms
    other: CalibrationTensors


class _Run:
    """One calibration, step by step."""

    def __init__(
        self,
        engine: Engine,
        view: StationView,
        start: CalibrationTensors,
        jobs: Jobs,
        reliability: list[float],
        progress: Progress,
        wishes: Wishes,
    ) -> None:
        self._engine, self._view, self._start, self._jobs = engine, view, start, jobs
        self._reliability, self._progress, self._wishes = reliability, progress, wishes
        self.scored_by: dict[str, CalibrationTensors] = {}

    def split(self) -> tuple[CalibrationTensors, list[ImageResult]]:
        """The final tensors, and a result for every image."""
        jobs, rule = self._jobs, self._wishes.rule
        tensors, halves = self._center_and_halves()
        images: list[ImageResult] = []
        if rule == "bundle":
            tensors = self._with_bundles_weights(tensors)
        else:
            terms, quality = self._terms(tensors, jobs.weights, "λ1, λ2")
            weights = weigh_terms(terms, self._reliability, rule)
            tensors = tensors.with_group_weights(weights[0]).with_weights(*weights[1:])
            images = self._results_of_terms(jobs.weights, "weights", terms, terms @ joint(*weights), weights[0], quality)
        self._engine.bind(tensors)
        scores = score_images(self._engine, self._view, jobs.threshold, self._step("threshold", len(jobs.threshold)))
        held_out = [(one.feature_score, one.reconstruction_score, one.score) for one in scores]
        return tensors, self._held_out_halves(tensors, halves) + images + self._results(
            jobs.threshold, "threshold", held_out, scores
        )

    def cross_fit(self) -> tuple[CalibrationTensors, list[ImageResult]]:
        """The same; each image is scored by the statistics of the other folds."""
        jobs, rule = self._jobs, self._wishes.rule
        halves: list[_Half] = []
        if jobs.own_center:
            tensors, folds, quality, centers = self._folds_of_centers()
        else:
            tensors, halves = self._center_and_halves()
            terms, quality = self._terms(tensors, jobs.threshold, "λ1, λ2")
            folds, centers = self._folds_of_terms(terms), []
        result: CrossFit = cross_fit(folds, self._reliability, rule, self._joint(self._start))
        if rule == "bundle":
            tensors = self._with_bundles_weights(tensors)
        else:
            tensors = tensors.with_group_weights(result.weights[0]).with_weights(*result.weights[1:])
        for fold, center in zip(folds, centers, strict=False):
            own = center.replace(**{name: tensors[name] for name in WEIGHTS})
            self.scored_by |= {jobs.threshold[index][1]: own for index in fold.held}
        groups = [float(one) for one in tensors["group_weight"]]
        images = self._results_of_terms(jobs.threshold, "all", result.terms, result.scores, groups, quality)
        return tensors, self._held_out_halves(tensors, halves) + images

    def _center_and_halves(self) -> tuple[CalibrationTensors, list[_Half]]:
        """C of ``jobs.center``, and each half of its images by the C of the other; the bundle's C where there are none."""
        images = self._jobs.center
        if not images:
            return self._start, []
        first_of = [index % HALF_OF in HALF for index in range(len(images))]
        features = self._features(images, [0 if one else 1 for one in first_of])
        features.read(0)
        first = self._center(features, {0})
        second_half = features.read_and_score(1, first)
        second = self._center(features, {1})
        held = [index for index, one in enumerate(first_of) if one]
        first_half = ReadTerms(held, *self._terms(second, [images[index] for index in held], "suspects"))
        return self._center(features, {0, 1}), [_Half(first_half, second), _Half(second_half, first)]

    def _held_out_halves(self, tensors: CalibrationTensors, halves: list[_Half]) -> list[ImageResult]:
        """Each image of C by the C of the half it is not in, with the weights of ``tensors``: a bad one cannot vouch for itself."""
        images: list[ImageResult] = []
        weights, groups = self._joint(tensors), [float(one) for one in tensors["group_weight"]]
        for half in halves:
            held = [self._jobs.center[index] for index in half.read.indices]
            other = half.other.replace(**{name: tensors[name] for name in WEIGHTS})
            self.scored_by |= {digest: other for _, digest in held}
            terms = half.read.terms
            images += self._results_of_terms(held, "center", terms, terms @ weights, groups, half.read.scores)
        return images

    def _folds_of_centers(self) -> tuple[CalibrationTensors, list[FoldTerms], list[Scores], list[CalibrationTensors]]:
        """(the final C, each fold's terms by a C of its own, image quality in the order of the images, each fold's C)."""
        images, folds = self._jobs.threshold, self._jobs.folds
        assert folds is not None
        place = {index: order for fold in range(folds.count) for order, index in enumerate(folds.held(fold))}
        stripe = [place[index] % WEIGHTS_STRIPE == 0 for index in range(len(images))]
        striped = folds.count  # the part of those that set weights; they enter the final C alone
        features = self._features(images, [striped if one else fold for fold, one in zip(folds.of_image, stripe, strict=True)])
        for part in range(folds.count + 1):
            features.read(part)
        terms: list[FoldTerms] = []
        centers: list[CalibrationTensors] = []
        quality: dict[int, Scores] = {}
        for fold in range(folds.count):
            held, outside = folds.held(fold), [index for index in folds.outside(fold) if stripe[index]]
            tensors = self._center(features, {other for other in range(folds.count) if other != fold})
            read, scores = self._terms(tensors, [images[index] for index in held + outside], "cross-fit")
            quality |= zip(held, scores[: len(held)], strict=True)
            terms.append(FoldTerms(held, read[: len(held)], read[len(held) :]))
            centers.append(tensors)
        everything = self._center(features, set(range(folds.count + 1)))
        return everything, terms, [quality[index] for index in range(len(images))], centers

    def _folds_of_terms(self, terms: NDArray[np.float64]) -> list[FoldTerms]:
        folds = self._jobs.folds
        assert folds is not None
        held = [folds.held(fold) for fold in range(folds.count)]
        return [FoldTerms(one, terms[one], np.delete(terms, one, axis=0)) for one in held]

    def _center(self, features: CenterFeatures, parts: set[int]) -> CalibrationTensors:
        mask = self._view.ignore_mask
        moments, rows = features.moments_of(parts), features.rows_of(parts)
        tensors = center_from_moments(moments, features.sample, self._view.shape, mask, rows=rows).with_ignore_mask(mask)
        tensors = tensors.replace(brightness_range=brightness_range(features.brightness_of(parts)))
        if self._jobs.center_from == "blend":
            return blend_center(self._start, tensors, self._wishes.blend, self._view.shape, mask)
        return tensors

    def _joint(self, tensors: CalibrationTensors) -> NDArray[np.float64]:
        return joint(list(tensors["group_weight"]), *(float(tensors[name][0]) for name in WEIGHTS[1:]))

    def _with_bundles_weights(self, tensors: CalibrationTensors) -> CalibrationTensors:
        return tensors.replace(**{name: self._start[name] for name in WEIGHTS})

    def _features(self, images: ImageList, parts: list[int]) -> CenterFeatures:
        return CenterFeatures(self._engine, self._view, images, parts, self._step("C", len(images)))

    def _terms(self, tensors: CalibrationTensors, images: ImageList, what: str) -> tuple[NDArray[np.float64], list[Scores]]:
        return read_terms(self._engine, self._view, tensors, images, self._step(what, len(images)))

    def _step(self, what: str, total: int) -> Callable[[], None]:
        done = 0

        def one() -> None:
            nonlocal done
            done += 1
            self._progress(what, done, total)

        return one

    def _results_of_terms(
        self, images: ImageList, job: Job, terms: Values, joint_scores: Values, groups: list[float], quality: list[Scores]
    ) -> list[ImageResult]:
        """From terms [n, G+1] and L [n] of ``images``; groups: their final weights in L1."""
        columns = zip(terms[:, :-1] @ np.array(groups), terms[:, -1], joint_scores, strict=True)
        held_out = [(float(first), float(second), float(both)) for first, second, both in columns]
        return self._results(images, job, held_out, quality)

    def _results(
        self, images: ImageList, job: Job, held_out: list[tuple[float, float, float]], quality: list[Scores]
    ) -> list[ImageResult]:
        of_image = self._jobs.folds.of_image if self._jobs.folds is not None and job == "all" else [None] * len(images)
        return [
            ImageResult.of(image, self._jobs.sessions.get(image[1], ""), job, fold, one, scores)
            for image, fold, one, scores in zip(images, of_image, held_out, quality, strict=True)
        ]


def _judged(images: list[ImageResult]) -> list[ImageResult]:
    return [image for image in images if image.job in ("threshold", "all")]


def _baseline(values: Array) -> Baseline:
    low, high = np.quantile(values, (0.01, 0.99))
    quantiles = sorted(float(one) for one in np.quantile(values.astype(np.float64), np.linspace(0, 1, QUANTILES)))
    return Baseline(mean=float(values.mean()), deviation=float(values.std()), low=float(low), high=float(high), quantiles=quantiles)
