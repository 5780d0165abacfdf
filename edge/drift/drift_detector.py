"""Whether the parts of late are still like those of the calibration, and if not, what has changed.

Pure logic over numbers: constant time and memory a part, no clock, same verdicts, same answer. Error rates: docs/drift.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from statistics import median_low

from edge.drift.baseline_rank import BaselineRank
from edge.drift.cumulative_sum import CumulativeSum
from edge.slots.slot_record import Baseline
from edge.verdict import Scores

SCORES = ("feature_score", "reconstruction_score", "score")
LIGHT = ("brightness", "saturation")
FOCUS = ("sharpness",)
FIGURES = (*SCORES, *LIGHT, *FOCUS)
RESOLUTION = {"brightness": 0.01, "saturation": 0.005}
"""Changes of light smaller than this are no news: mean grey and share of pixels, both 0…1."""
SHARPNESS_RESOLUTION = 0.05
"""Relative to the good images' median."""

ALLOWANCE = 0.10
"""Mean rank that is never a drift; 0.18 standard deviations of normal scores."""
BASELINE_ERRORS = 2.5
"""The allowance also covers so many standard errors, 1/√n, of the mean rank of a baseline of n images in which those in a row
resemble each other as in an AR(1) process of 0.5; of independent images it is 1/√(3n)."""
MOST_ALLOWED = 0.8
LIMIT = 60.0
REJECT_LIMIT = math.log(1e9)
"""Of a likelihood ratio; a line that keeps the reject rate runs at least e^limit parts to a false alarm (Lorden 1971)."""
MOST_USUAL = 0.5
SETTLE_PARTS = 150
"""More rejects are called defects only after so many: by then a drift that causes them is seen as one."""
RECENT = 1 / 32
"""Weight of the newest part in what is called "of late"."""


class Cause(Enum):
    """What a drift looks like. ``value`` is its name in records."""

    LIGHT = "light"
    CAMERA = "camera"
    PARTS = "parts"
    DEFECTS = "defects"


@dataclass(frozen=True, slots=True)
class Drift:
    """What has changed since part ``since`` (an estimate).

    moved: figure → (of late, median of the good images), of those that have moved for most parts. rejected: share of the parts
    since more of them are rejected than promised, None where that is not so. recalibrate: whether calibrating again would help.
    """

    cause: Cause
    since: int
    moved: dict[str, tuple[float, float]]
    rejected: float | None
    recalibrate: bool


def allowance(images: int) -> float:
    """The mean rank that is no drift, where the baseline is of so many images."""
    return min(MOST_ALLOWED, ALLOWANCE + BASELINE_ERRORS / math.sqrt(max(1, images)))


def reject_steps(usual: float) -> tuple[float, float]:
    """Evidence of a rejected and of a passed part: log-likelihood ratio of three times the ``usual`` share, or 2 % more, to it."""
    usual = min(usual, MOST_USUAL)
    more = min(max(3 * usual, usual + 0.02), (1 + usual) / 2)
    return math.log(more / usual), math.log((1 - more) / (1 - usual))


class DriftMonitor:
    """Two-sided cumulative sums of each figure's rank among the good images, and one of rejects.

    A part that the slot's threshold rejects tells nothing of the figures, so that defects look like no drift and hide none. Where
    more than half of the parts of late are rejected, no minority of defects explains it, and every part tells.
    """

    def __init__(
        self, baseline: Mapping[str, Baseline], images: int, threshold: float, promised: float, usual_rejects: float = 0.0
    ) -> None:
        """images: how many ``baseline`` is of. promised: the slot's false-reject rate. usual_rejects: a share of rejects that is
        no news on this line. Figures that did not vary in the baseline are not watched.
        """
        self._threshold = threshold
        allowed = allowance(images)
        self._watched: dict[str, _Watched] = {}
        for name in FIGURES:
            one = baseline.get(name)
            if one is not None and (ranks := _ranks(name, one)).varies:
                self._watched[name] = _Watched(ranks, allowed)
        self._reject_step, self._pass_step = reject_steps(max(promised, usual_rejects))
        self._rejects = CumulativeSum(REJECT_LIMIT)
        self._rejected_since = 0
        self._rejected_of_late = 0.0
        self._moved = False

    @property
    def watched(self) -> tuple[str, ...]:
        """The figures that are compared with the baseline."""
        return tuple(self._watched)

    def of_late(self) -> dict[str, tuple[float, float]]:
        """Figure that is watched → (mean of the parts of late, median of the good images)."""
        return {name: watched.of_late() for name, watched in self._watched.items()}

    def add(self, scores: Scores, part: int) -> None:
        """Take the next part under the number it is told by; one with a figure that is not finite tells nothing."""
        if not scores.finite():
            return
        rejected = scores.score >= self._threshold
        self._rejected_of_late += RECENT * (rejected - self._rejected_of_late)
        self._rejects.add(self._reject_step if rejected else self._pass_step, part)
        self._rejected_since = rejected + (0 if self._rejects.length == 1 else self._rejected_since)
        if not rejected or self._rejected_of_late > 0.5:
            for name, watched in self._watched.items():
                watched.add(getattr(scores, name), part)
        moved = any(watched.raised for watched in self._watched.values())
        if self._moved and not moved:  # what was rejected meanwhile is explained by the drift that is over
            self._rejects = CumulativeSum(REJECT_LIMIT)
        self._moved = moved

    def drift(self) -> Drift | None:
        """What has changed; None while nothing has."""
        figures = {name for name, watched in self._watched.items() if watched.raised}
        many_rejects = self._rejects.raised and self._rejects.length >= SETTLE_PARTS
        if not figures and not many_rejects:
            return None
        moved = {name for name, watched in self._watched.items() if watched.hinted}
        if moved.intersection(LIGHT):
            cause = Cause.LIGHT
        elif moved.intersection(FOCUS):
            cause = Cause.CAMERA
        else:
            cause = Cause.PARTS if moved else Cause.DEFECTS
        onsets = [self._watched[name].since for name in figures] or [self._rejects.since]
        return Drift(
            cause=cause,
            since=median_low(onsets),
            moved={name: self._watched[name].of_late() for name in FIGURES if name in moved},
            rejected=self._rejected_since / self._rejects.length if self._rejects.raised else None,
            recalibrate=bool(moved.intersection(SCORES)) or (bool(moved) and self._rejects.raised),
        )


class _Watched:
    """One figure: both directions of its change, and its mean of late."""

    def __init__(self, ranks: BaselineRank, allowance: float) -> None:
        self._ranks, self._allowance = ranks, allowance
        self._rise, self._fall = CumulativeSum(LIMIT), CumulativeSum(LIMIT)
        self._of_late = ranks.median

    @property
    def raised(self) -> bool:
        return self._rise.raised or self._fall.raised

    @property
    def hinted(self) -> bool:
        return self._rise.hinted or self._fall.hinted

    @property
    def since(self) -> int:
        return min(one.since for one in (self._rise, self._fall) if one.hinted)

    def add(self, value: float, part: int) -> None:
        rank = self._ranks.rank(value)
        self._rise.add(rank - self._allowance, part)
        self._fall.add(-rank - self._allowance, part)
        self._of_late += RECENT * (value - self._of_late)

    def of_late(self) -> tuple[float, float]:
        return self._of_late, self._ranks.median


def _ranks(name: str, baseline: Baseline) -> BaselineRank:
    plain = BaselineRank(baseline.quantiles)
    resolution = SHARPNESS_RESOLUTION * abs(plain.median) if name in FOCUS else RESOLUTION.get(name, 0.0)
    return BaselineRank(baseline.quantiles, resolution)
