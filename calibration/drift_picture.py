"""The picture of a record: L against its threshold and the brightness over parts in a row, with the drifts that were found."""

from __future__ import annotations

import io

import numpy as np

from calibration.advise import Advice
from edge.drift.drift_words import SHORT
from edge.slots.slot_record import SlotRecord

GOOD, BAD, MARK = "#4c8a57", "#b3261e", "#b06a00"
DEVIATIONS = 20.0
"""Of the good images above their mean: where the picture of L ends, so that one defect does not flatten all else."""


def drift_png(advice: Advice, record: SlotRecord, title: str) -> bytes:
    """A PNG of 1500×800 pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    score = np.array([part.scores.score for part in advice.parts])
    brightness = np.array([part.scores.brightness for part in advice.parts])
    numbers = np.arange(len(score))
    rejected = score >= record.threshold
    baseline = record.baseline["score"]
    top = max(record.threshold, baseline.mean + DEVIATIONS * baseline.deviation) + 0.1 * (record.threshold - baseline.low)
    figure = Figure(figsize=(15, 8), dpi=100, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    shown = np.minimum(score, top)
    upper.plot(numbers[~rejected], shown[~rejected], ".", markersize=3, color=GOOD, label="passed")
    upper.plot(numbers[rejected], shown[rejected], ".", markersize=4, color=BAD, label="rejected")
    upper.axhline(record.threshold, color=BAD, linewidth=1.5, label=f"threshold {record.threshold:.4g}")
    upper.axhspan(baseline.low, baseline.high, color=GOOD, alpha=0.15, label="good images of the calibration")
    upper.set_ylabel("L" if shown.max() == score.max() else "L (higher ones at the top)")
    light = record.baseline["brightness"]
    lower.plot(numbers, brightness, ".", markersize=3, color="#555555")
    lower.axhspan(light.low, light.high, color=GOOD, alpha=0.3)
    lower.set_ylabel("brightness, 0…1")
    lower.set_xlabel("parts in the record")
    for mark in advice.marks:
        for axis in (upper, lower):
            axis.axvline(mark.drift.since, color=MARK, linewidth=1.5, linestyle="--")
        place = (mark.drift.since, 1.0)
        where = upper.get_xaxis_transform()
        upper.annotate(f" {SHORT[mark.drift.cause]}", place, xycoords=where, color=MARK, va="bottom", ha="left", fontsize=11)
    upper.legend(loc="upper left", fontsize=9)
    figure.suptitle(title.replace("$", r"\$"))
    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content)
    return content.getvalue()
