"""Lines that never were: figures of parts with a known drift, or none, and when the monitor tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calibration.threshold import choose_threshold
from edge.drift.drift_detector import FIGURES, LIMIT, REJECT_LIMIT, SCORES, Cause, DriftMonitor, allowance, reject_steps
from edge.slots.slot_record import QUANTILES, Baseline
from edge.verdict import Scores

Values = NDArray[np.float64]
Shape = Literal["normal", "heavy"]
MEMORY = 40
"""Parts back that an AR(1) process of 0.5 still feels."""
DEVIATION = 100.0
"""Of the simulated figures, large against the resolutions that the monitor has for real ones."""
DEFECT = 10.0
"""Deviations by which a simulated defect exceeds in its scores, and 3 in the picture's figures."""


@dataclass(frozen=True)
class Line:
    """shape: normal, or heavy (Student's t with 3 degrees of freedom). correlation: of parts in a row, AR(1).

    images: of the calibration, drawn from the same process, in a row too.
    """

    shape: Shape
    correlation: float
    images: int

    def draw(self, random: np.random.Generator, parts: int) -> Values:
        """One figure of ``parts`` parts in a row; mean 0, the deviation of the process ``DEVIATION``."""
        size = parts + MEMORY
        noise = random.standard_normal(size) if self.shape == "normal" else random.standard_t(3, size) / np.sqrt(3)
        kernel = self.correlation ** np.arange(MEMORY)
        values: Values = DEVIATION * np.sqrt(1 - self.correlation**2) * np.convolve(noise, kernel)[MEMORY : MEMORY + parts]
        return values


@dataclass(frozen=True)
class Calibration:
    """What a simulated calibration of ``line`` leaves in its slot."""

    line: Line
    baseline: dict[str, Baseline]
    threshold: float
    promised: float

    @classmethod
    def of(cls, line: Line, random: np.random.Generator) -> Calibration:
        """Calibrate on ``line.images`` good parts; the six figures are independent, the worst case for false alarms."""
        figures = {name: line.draw(random, line.images) for name in FIGURES}
        threshold, promise = choose_threshold(figures["score"].astype(np.float32), "exact")
        baseline = {
            name: Baseline(
                mean=float(values.mean()), deviation=float(values.std()), low=float(values.min()), high=float(values.max()),
                quantiles=[float(one) for one in np.quantile(values, np.linspace(0, 1, QUANTILES))],
            )
            for name, values in figures.items()
        }  # fmt: skip
        return cls(line, baseline, threshold, promise.false_reject_rate)

    def monitor(self) -> DriftMonitor:
        """The one that would run."""
        return DriftMonitor(self.baseline, self.line.images, self.threshold, self.promised)


def false_alarms(calibration: Calibration, parts: int, random: np.random.Generator) -> tuple[int | None, int | None]:
    """The part at which a line without any change first alarms: (one of the six figures, the rejects); None where it does not.

    The monitor's arithmetic over a whole run at once, so that millions of parts are affordable; a test holds it to the monitor.
    """
    figures = {name: calibration.line.draw(random, parts) for name in FIGURES}
    return first_alarms(calibration, figures)


def first_alarms(calibration: Calibration, figures: dict[str, Values]) -> tuple[int | None, int | None]:
    """As ``false_alarms``, of given figures (each [parts]); where few parts are rejected."""
    rejected = figures["score"] >= calibration.threshold
    levels, allowed = np.linspace(0, 1, QUANTILES), allowance(calibration.line.images)
    alarms: list[int | None] = []
    for name, values in figures.items():
        rank = 2 * np.interp(values, calibration.baseline[name].quantiles, levels) - 1
        alarms += [_crossing(np.where(rejected, 0.0, sign * rank - allowed), LIMIT) for sign in (1, -1)]
    found = [one for one in alarms if one is not None]
    return min(found, default=None), _crossing(np.where(rejected, *reject_steps(calibration.promised)), REJECT_LIMIT)


@dataclass(frozen=True)
class Change:
    """What happens to the line. deviations: by which ``figures`` of every part move. defects: share of the parts."""

    name: str
    expected: Cause
    deviations: float = 0.0
    figures: tuple[str, ...] = ()
    defects: float = 0.0


CHANGES = (
    *(Change(f"light, {size:g} deviations", Cause.LIGHT, size, FIGURES) for size in (0.5, 1.0, 2.0)),
    *(Change(f"parts, {size:g} deviations", Cause.PARTS, size, SCORES) for size in (0.5, 1.0, 2.0)),
    Change("camera, 2 deviations", Cause.CAMERA, 2.0, (*SCORES, "sharpness")),
    *(Change(f"{share:.0%} defects", Cause.DEFECTS, defects=share) for share in (0.05, 0.1, 0.3)),
)


def told(
    calibration: Calibration, change: Change, before: int, after: int, random: np.random.Generator
) -> tuple[int, Cause] | None:
    """(parts from the change to the first telling, the cause told), by the real monitor; None where nothing is told in ``after``.

    Told in the ``before`` parts without the change counts as 0 parts, which is a false alarm.
    """
    figures = {name: calibration.line.draw(random, before + after) for name in FIGURES}
    bad = np.flatnonzero(random.random(after) < change.defects) + before
    for name, values in figures.items():
        if name in change.figures:
            values[before:] += change.deviations * DEVIATION
        values[bad] += (DEFECT if name in SCORES else 3.0) * DEVIATION
    monitor = calibration.monitor()
    for part in range(before + after):
        monitor.add(Scores(map_mean=0.0, **{name: float(values[part]) for name, values in figures.items()}), part)
        drift = monitor.drift()
        if drift is not None:
            return max(0, part - before + 1), drift.cause
    return None


def _crossing(steps: Values, limit: float) -> int | None:
    """Where Page's sum of ``steps`` first reaches ``limit``."""
    sums = np.cumsum(steps)
    over = sums - np.minimum(np.minimum.accumulate(sums), 0.0) >= limit
    first = int(np.argmax(over))
    return first if over[first] else None
