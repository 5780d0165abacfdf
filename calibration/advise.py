"""From what a calibration has judged to whether calibrating again would help."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from calibration.binomial_bound import upper_bound
from calibration.threshold import choose_threshold
from calibration.verdict_lines import Logged, LoggedPart
from edge.drift.drift_detector import Cause, Drift, DriftMonitor
from edge.errors import ConfigError, SlotError
from edge.slots.slot_record import SlotRecord

FEWEST_PARTS = 100
RECENT_PARTS = 1000
"""Without a drift, "of late" is so many parts."""


@dataclass(frozen=True)
class Mark:
    """A drift that was found after part ``found`` and began about part ``drift.since``; both count from 0 in the record read."""

    found: int
    drift: Drift


@dataclass(frozen=True)
class Advice:
    """What the record says.

    marks: each drift that came, and each change of its cause. drift: the one that stands at the end.
    recent: the parts since that began, else the last thousand; of these ``rejected`` are at or above the threshold.
    false_rejects_at_most: the false-reject rate if all of ``recent`` were good, upper bound at the promise's confidence.
    rederived_share: what a threshold from every other recent part rejects of the rest, C and λ unchanged; None with too few.
    """

    parts: list[LoggedPart]
    marks: list[Mark]
    drift: Drift | None
    recent: int
    rejected: int
    false_rejects_at_most: float
    rederived_share: float | None

    @property
    def recalibrate(self) -> bool:
        """Whether calibrating again would help."""
        return self.drift is not None and self.drift.recalibrate


def advise(logged: Logged, record: SlotRecord, usual_rejects: float = 0.0) -> Advice:
    """Run the parts through the monitor that edge-inspect has, and look closer at those since the drift that stands.

    Raises ConfigError for fewer than 100 parts, SlotError where the record is of another calibration with the same serial.
    """
    parts = logged.parts
    if len(parts) < FEWEST_PARTS:
        raise ConfigError(
            f"calibration {record.serial} has judged {len(parts)} parts in this record, at least {FEWEST_PARTS} are needed to "
            "tell anything; inspect more parts"
        )
    for part in parts:
        if not math.isclose(part.threshold, record.threshold, rel_tol=1e-6):
            raise SlotError(
                f"the verdicts were made with the threshold {part.threshold:.6g}, calibration {record.serial} here has "
                f"{record.threshold:.6g}; give the record of this device and model, or another --state or --serial"
            )
    promise = record.promise
    monitor = DriftMonitor(record.baseline, promise.images, record.threshold, promise.false_reject_rate, usual_rejects)
    if not monitor.watched:
        raise SlotError(f"calibration {record.serial} was made before it kept what drift is told by; calibrate again")
    marks: list[Mark] = []
    before: Cause | None = None
    drift: Drift | None = None
    for number, part in enumerate(parts):
        monitor.add(part.scores, number)
        drift = monitor.drift()
        cause = drift.cause if drift is not None else None
        if drift is not None and cause != before:
            marks.append(Mark(number, drift))
        before = cause
    since = drift.since if drift is not None else max(0, len(parts) - RECENT_PARTS)
    scores = np.array([part.scores.score for part in parts[since:]], np.float32)
    rejected = int((scores >= np.float32(record.threshold)).sum())
    bound = upper_bound(rejected, len(scores), promise.confidence)
    return Advice(parts, marks, drift, len(scores), rejected, bound, _rederived_share(scores))


def _rederived_share(scores: np.ndarray) -> float | None:
    if len(scores) < FEWEST_PARTS:
        return None
    threshold, _ = choose_threshold(scores[::2], "exact")
    return float((scores[1::2] >= threshold).mean())
