"""False rejects and misses of a trained bundle calibrated on random parts of its set's good images, scored once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.cross_fit import FoldTerms, cross_fit, joint
from calibration.normal_images import ImageList, assign_jobs
from calibration.run_normal_images import read_terms
from calibration.term_weights import weigh_terms
from calibration.threshold import DEFAULT_CONFIDENCE, choose_threshold
from edge.bundle import open_bundle
from edge.engines.open_engine import open_engine
from edge.errors import ImageError
from edge.line.station_view import station_view
from edge.pictures.image_file import Survey, survey_images
from edge.station_config import load_station
from tools.benchmark.labelled_set import LabelledSet
from tools.benchmark.simulated_scores import Values

COUNTS = (20, 30, 100, 200)
SPLITS = 50
LEAST_LEFT = 9
"""Good images that must be left to measure the false rejects on."""
MAXIMUM_BAD_SHARE = 0.1


@dataclass(frozen=True)
class SetTerms:
    """Terms [n, G+1] of the good images the training did not see, and of the defective ones, by the bundle's C."""

    name: str
    reliability: list[float]
    good: NDArray[np.float64]
    defective: NDArray[np.float64]


@dataclass(frozen=True)
class SplitRates:
    """Over the splits: the rate promised, the mean and the 95 % quantile of the good parts rejected, the mean of the missed.

    usual_*: by the usual rule, the highest score of the same images, λ1 and λ2 the reciprocals of their mean L1 and L2.
    """

    name: str
    images: int
    left: int
    kind: str
    promised: float
    false_rejects: float
    false_rejects_95: float
    broken: float
    misses: float
    usual_false_rejects: float
    usual_misses: float


def read_set(
    bundle_path: Path, labelled: LabelledSet, name: str, train: Path, threads: int, progress: Callable[[], None]
) -> SetTerms:
    """Score the fresh good images of ``train`` and of the test folder, and the defective ones; raises ImageError."""
    bundle = open_bundle(bundle_path)
    learned = set(bundle.manifest.learned_images)
    images: dict[str, Path] = {}
    if train.is_dir():
        images = {digest: path for path, digest in survey_images(train, MAXIMUM_BAD_SHARE).files}
    images |= {digest: path for path, digest in survey_images(labelled.good[0].parent, MAXIMUM_BAD_SHARE).files}
    good: ImageList = sorted(((path, digest) for digest, path in images.items() if digest not in learned), key=lambda one: one[1])
    defective: ImageList = [(one.path, "") for group in labelled.defects.values() for one in group]
    view = station_view(load_station(None), bundle.manifest.graph)
    with open_engine(bundle, threads=threads) as engine:
        start = bundle.start_calibration()
        terms = [read_terms(engine, view, start, images, progress)[0] for images in (good, defective)]
    return SetTerms(name, bundle.manifest.reliability, *terms)


def measure_splits(one: SetTerms, splits: int = SPLITS) -> list[SplitRates]:
    """For each count that leaves enough good images: calibrate on so many, chosen at random, and judge the rest.

    Jobs, λ and threshold as ``calibrate --center bundle`` makes them. Raises ImageError where no count leaves enough.
    """
    rows = []
    for images in COUNTS:
        left = len(one.good) - images
        if left < LEAST_LEFT:
            continue
        random = np.random.default_rng(images)
        results = [_calibrate(one, random.permutation(len(one.good)), images) for _ in range(splits)]
        rates = np.array([result[1:] for result in results])
        promised = float(rates[0, 0])
        rejects, misses = rates[:, 1], rates[:, 2]
        rows.append(SplitRates(
            one.name, images, left, results[0][0], promised, float(rejects.mean()), float(np.quantile(rejects, 0.95)),
            float((rejects > promised).mean()), float(misses.mean()), *(float(one) for one in rates[:, 3:].mean(axis=0)),
        ))  # fmt: skip
    if not rows:
        raise ImageError(
            f"{one.name}: {len(one.good)} good images that the training did not see leave too few to judge by, expected "
            f"{COUNTS[0] + LEAST_LEFT}; give a set with more"
        )
    return rows


def _calibrate(one: SetTerms, order: NDArray[np.intp], images: int) -> tuple[str, float, float, float, float, float]:
    """(kind, rate promised; share of the other good images rejected, of the defective ones missed; both by the usual rule)."""
    files = [(Path(str(index)), f"{place:06d}") for place, index in enumerate(order[:images])]
    jobs = assign_jobs(Survey(files, [], 0), set(), "bundle", confidence=DEFAULT_CONFIDENCE)
    weights_of, threshold_of = ([int(path.name) for path, _ in job] for job in (jobs.weights, jobs.threshold))
    scores: Values
    if jobs.folds is None:
        weights = weigh_terms(one.good[weights_of], one.reliability)
        scores = one.good[threshold_of] @ joint(*weights)
    else:
        terms = one.good[threshold_of]
        held = [jobs.folds.held(fold) for fold in range(jobs.folds.count)]
        folds = [FoldTerms(indices, terms[indices], np.delete(terms, indices, axis=0)) for indices in held]
        fitted = cross_fit(folds, one.reliability, "spread", np.ones(terms.shape[1]))
        weights, scores = fitted.weights, fitted.scores
    threshold, promise = choose_threshold(np.asarray(scores, np.float32), jobs.kind)
    left = one.good[order[images:]]

    def rates(weights: Values, threshold: float) -> tuple[float, float]:
        return float((left @ weights >= threshold).mean()), float((one.defective @ weights < threshold).mean())

    chosen = one.good[order[:images]]
    usual = joint(*weigh_terms(chosen, one.reliability, "mean"))
    highest = float(np.nextafter((chosen @ usual).max(), np.inf))
    return jobs.kind, promise.false_reject_rate, *rates(joint(*weights), threshold), *rates(usual, highest)
