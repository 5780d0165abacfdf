"""How well a calibrated bundle tells good from bad on a set in MVTec's layout (test/good, test/<defect>)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from calibration.run_normal_images import score_images
from edge.calibration_slot import CalibrationSlot
from edge.engines.base import Engine
from edge.errors import ImageError
from edge.image_file import list_images
from edge.station_view import StationView
from edge.verdict import Scores
from tools.benchmark.auroc import auroc

FIGURES = {"feature_score": "L1", "reconstruction_score": "L2", "score": "L"}
ALL = "all defects"


@dataclass(frozen=True)
class Accuracy:
    """auroc: defect folder → {L1, L2, L}. Rates are at the calibrated threshold."""

    auroc: dict[str, dict[str, float]]
    images: dict[str, int]
    misses: dict[str, int]
    false_rejects: int
    good: int
    threshold: float
    promised_false_reject_rate: float

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "auroc": self.auroc,
            "images": self.images,
            "misses": self.misses,
            "false_rejects": self.false_rejects,
            "good": self.good,
            "threshold": self.threshold,
            "promised_false_reject_rate": self.promised_false_reject_rate,
        }

    def table(self) -> Table:
        """For people."""
        table = Table(
            title=f"{self.false_rejects} of {self.good} good images rejected (promised ≤ {self.promised_false_reject_rate:.2%})"
        )
        for heading in ("defect", "images", *FIGURES.values(), "missed"):
            table.add_column(heading, justify="left" if heading == "defect" else "right")
        for defect, values in self.auroc.items():
            figures = (f"{values[name]:.4f}" for name in FIGURES.values())
            table.add_row(
                defect, str(self.images[defect]), *figures, str(self.misses[defect]), style="bold" if defect == ALL else ""
            )
        return table


def measure_accuracy(
    engine: Engine, view: StationView, slot: CalibrationSlot, data: Path, progress: Callable[[], None]
) -> Accuracy:
    """Score every image of ``data/test``; ``engine`` is bound to ``slot``. Raises ImageError."""
    test = data / "test"
    if not (test / "good").is_dir():
        raise ImageError(f"{data}: expected the folders test/good and test/<defect>, there is no {test / 'good'}; correct --data")
    scores: dict[str, list[Scores]] = {}
    for folder in sorted(p for p in test.iterdir() if p.is_dir()):
        scores[folder.name] = score_images(engine, view, [(path, "") for path in list_images(folder)], progress)
    good = scores.pop("good")
    if not scores:
        raise ImageError(f"{test}: expected at least one folder of defects beside good; correct --data")
    groups = {**scores, ALL: [one for group in scores.values() for one in group]}
    threshold = slot.record.threshold
    return Accuracy(
        auroc={
            name: {label: auroc(_values(good, figure), _values(group, figure)) for figure, label in FIGURES.items()}
            for name, group in groups.items()
        },
        images={name: len(group) for name, group in groups.items()},
        misses={name: int((_values(group, "score") < threshold).sum()) for name, group in groups.items()},
        false_rejects=int((_values(good, "score") >= threshold).sum()),
        good=len(good),
        threshold=threshold,
        promised_false_reject_rate=slot.record.promise.false_reject_rate,
    )


def _values(group: list[Scores], figure: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([getattr(one, figure) for one in group], np.float64)
