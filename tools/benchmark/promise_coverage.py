"""How often a calibration's promise is broken, on simulated scores whose true false-reject rate is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.binomial_bound import allowed_above, upper_bound
from calibration.cross_fit import FoldTerms, cross_fit, joint
from calibration.tail_fit import tail_limit
from calibration.term_weights import weigh_terms
from calibration.threshold import BEST_DEFAULT_RATE, DEFAULT_CONFIDENCE
from tools.benchmark.simulated_scores import SHAPES, Shape, Values

COUNTS = (30, 100, 300, 598, 1000)
CROSS_FIT_COUNTS = (10, 20, 40, 73)
TAIL_COUNTS = (50, 100, 200, 400)
TAIL_RATE = 0.005
CELLS = 2_000_000
"""Scores drawn at once: 16 MB."""
RELIABILITY = [1.0, 0.9, 0.6]


@dataclass(frozen=True)
class Coverage:
    """``broken`` of ``runs`` thresholds by ``rule`` let more than ``rate`` of good parts be rejected; median of the true rates."""

    rule: str
    shape: str
    images: int
    rate: float
    runs: int
    broken: int
    median_rate: float

    @property
    def share(self) -> float:
        """Of the runs that broke the promise; at most 1 − confidence where it holds."""
        return self.broken / self.runs

    def standard_error(self) -> float:
        """Of ``share``."""
        return float(np.sqrt(max(self.share * (1.0 - self.share), 1e-12) / self.runs))


def split_coverage(shape: Shape, images: int, runs: int) -> list[Coverage]:
    """The order statistic of a split (exact), the maximum, and the plain quantile of the same images at the same rate.

    The maximum is read as it usually is: none of n was rejected, so at most 1 of n will be.
    """
    allowed = allowed_above(images, BEST_DEFAULT_RATE, DEFAULT_CONFIDENCE) or 0
    rate = upper_bound(allowed, images, DEFAULT_CONFIDENCE)
    random, exceedance = np.random.default_rng(images), shape.exceedance()
    kept, highest, quantile = [], [], []
    for start in range(0, runs, max(1, CELLS // images)):
        scores = np.sort(shape.draw(random, (min(runs - start, max(1, CELLS // images)), images)), axis=1)
        kept.append(scores[:, images - 1 - allowed])
        highest.append(scores[:, -1])
        quantile.append(np.quantile(scores, 1.0 - rate, axis=1))
    return [
        _coverage(rule, shape, images, promised, exceedance(np.nextafter(np.concatenate(values), np.inf)))
        for rule, promised, values in (
            ("split", rate, kept),
            ("plain quantile", rate, quantile),
            ("maximum", 1.0 / images, highest),
        )
    ]


def cross_fit_coverage(shape: Shape, images: int, runs: int) -> list[Coverage]:
    """λ and threshold from the same few images: cross-fitted, each left out by itself, and in-sample.

    Three terms of one shape, on scales of their own and correlated by a common part; the true rate is of 200,000 new parts.
    """
    rate = upper_bound(0, images, DEFAULT_CONFIDENCE)
    random = np.random.default_rng(images)
    new = _terms(shape, random, 200_000)
    rates: dict[str, list[float]] = {"cross-fit": [], "in-sample": []}
    for _ in range(runs):
        terms = _terms(shape, random, images)
        folds = [FoldTerms([index], terms[index : index + 1], np.delete(terms, index, axis=0)) for index in range(images)]
        fitted = cross_fit(folds, RELIABILITY, "spread", np.ones(terms.shape[1]))
        final = joint(*weigh_terms(terms, RELIABILITY))
        parts = new @ final
        for rule, highest in (("cross-fit", float(fitted.scores.max())), ("in-sample", float((terms @ final).max()))):
            rates[rule].append(float((parts > highest).mean()))
    return [_coverage(rule, shape, images, rate, np.array(values)) for rule, values in rates.items()]


def tail_coverage(shape: Shape, images: int, runs: int) -> list[Coverage]:
    """A promise of 0.5 % extrapolated from too few images (--accept)."""
    random, exceedance = np.random.default_rng(images), shape.exceedance()
    limits = np.array([tail_limit(shape.draw(random, (images,)), TAIL_RATE, DEFAULT_CONFIDENCE) for _ in range(runs)])
    return [_coverage("tail fit", shape, images, TAIL_RATE, exceedance(np.nextafter(limits, np.inf)))]


def measure_coverage(runs: int, slow_runs: int, progress: Callable[[], None]) -> list[Coverage]:
    """Every rule on every shape and count. slow_runs: of the cross-fit and the tail fit, which are computed run by run."""
    rows: list[Coverage] = []
    for measure, counts, times in (
        (split_coverage, COUNTS, runs),
        (cross_fit_coverage, CROSS_FIT_COUNTS, slow_runs),
        (tail_coverage, TAIL_COUNTS, slow_runs),
    ):
        for images in counts:
            for shape in SHAPES:
                rows += measure(shape, images, times)
                progress()
    return rows


def steps() -> int:
    """How often ``measure_coverage`` reports."""
    return len(SHAPES) * (len(COUNTS) + len(CROSS_FIT_COUNTS) + len(TAIL_COUNTS))


def _terms(shape: Shape, random: np.random.Generator, images: int) -> NDArray[np.float64]:
    common = shape.draw(random, (images, 1))
    own = shape.draw(random, (images, len(RELIABILITY)))
    return np.asarray((common + 2.0 * own) * np.array([0.2, 3.0, 0.1]) + np.array([3.0, 30.0, 1.0]))


def _coverage(rule: str, shape: Shape, images: int, rate: float, rates: Values) -> Coverage:
    return Coverage(rule, shape.name, images, rate, len(rates), int((rates > rate).sum()), float(np.median(rates)))
