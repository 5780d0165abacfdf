"""How well a calibrated bundle tells good from bad on a labelled set, by image and by pixel."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from edge.engines.base import Engine
from edge.errors import ImageError
from edge.frame import Image
from edge.line.station_view import StationView
from edge.pictures.image_file import read_image
from edge.slots.calibration_slot import CalibrationSlot
from edge.verdict import Scores
from tools.auroc import auroc
from tools.benchmark.labelled_set import LabelledSet
from tools.benchmark.pixel_metrics import Mask, PixelScores

FIGURES = {"feature_score": "L1", "reconstruction_score": "L2", "score": "L"}
ALL = "all defects"


@dataclass(frozen=True)
class Accuracy:
    """auroc: defect folder → {L1, L2, L}. Counts are at the calibrated threshold.

    pixel_auroc, pro: of the good images and the ``masks`` defective ones that have a mask; None where none has.
    """

    auroc: dict[str, dict[str, float]]
    images: dict[str, int]
    misses: dict[str, int]
    false_rejects: int
    good: int
    threshold: float
    promised_false_reject_rate: float
    pixel_auroc: float | None = None
    pro: float | None = None
    masks: int = 0

    @property
    def false_reject_rate(self) -> float:
        """Share of the good test images at or above the threshold."""
        return self.false_rejects / self.good

    @property
    def miss_rate(self) -> float:
        """Share of the defective test images below the threshold."""
        return self.misses[ALL] / self.images[ALL]

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "auroc": self.auroc,
            "images": self.images,
            "misses": self.misses,
            "miss_rate": self.miss_rate,
            "false_rejects": self.false_rejects,
            "good": self.good,
            "false_reject_rate": self.false_reject_rate,
            "threshold": self.threshold,
            "promised_false_reject_rate": self.promised_false_reject_rate,
            "pixel_auroc": self.pixel_auroc,
            "pro": self.pro,
            "masks": self.masks,
        }

    def table(self) -> Table:
        """For people."""
        title = f"{self.false_rejects} of {self.good} good images rejected (promised ≤ {self.promised_false_reject_rate:.2%})"
        if self.pixel_auroc is not None and self.pro is not None:
            title += f"; pixel AUROC {self.pixel_auroc:.4f}, PRO {self.pro:.4f} on {self.masks} masks"
        table = Table(title=title)
        for heading in ("defect", "images", *FIGURES.values(), "missed"):
            table.add_column(heading, justify="left" if heading == "defect" else "right")
        for defect, values in self.auroc.items():
            figures = (f"{values[name]:.4f}" for name in FIGURES.values())
            table.add_row(
                defect, str(self.images[defect]), *figures, str(self.misses[defect]), style="bold" if defect == ALL else ""
            )
        return table


def measure_accuracy(
    engine: Engine, view: StationView, slot: CalibrationSlot, labelled: LabelledSet, progress: Callable[[], None]
) -> Accuracy:
    """Score every image of ``labelled``; ``engine`` is bound to ``slot``. Raises ImageError.

    Pixel figures are of the images that have a mask and of the good ones, all of whose pixels are normal.
    """
    pixels = PixelScores() if labelled.masks else None

    def score(path: Path, mask: Path | None, is_good: bool) -> Scores:
        image = read_image(path).image
        inference = engine.infer(view.preprocess(image))
        if not inference.scores.finite():
            raise ImageError(f"{path}: the engine gave a score that is not finite; remove the image, or rebuild the engine")
        if pixels is not None and (is_good or mask is not None):
            pixels.add(inference.anomaly_map, _judged_mask(view, image, path, mask))
        progress()
        return inference.scores

    good = [score(path, None, True) for path in labelled.good]
    scores = {name: [score(one.path, one.mask, False) for one in group] for name, group in labelled.defects.items()}
    groups = {**scores, ALL: [one for group in scores.values() for one in group]}
    threshold = slot.record.threshold
    pixel_auroc, pro = pixels.figures() if pixels is not None else (math.nan, math.nan)
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
        pixel_auroc=None if math.isnan(pixel_auroc) else pixel_auroc,
        pro=None if math.isnan(pro) else pro,
        masks=labelled.masks,
    )


def _judged_mask(view: StationView, image: Image, path: Path, mask: Path | None) -> Mask:
    """True where ``image`` is defective, of the size of the area that the view crops from it."""
    picture = np.zeros_like(image) if mask is None else read_image(mask).image
    if picture.shape != image.shape:
        raise ImageError(
            f"{mask}: expected a mask of {image.shape[1]}×{image.shape[0]} pixels like {path}, "
            f"got {picture.shape[1]}×{picture.shape[0]}; make it anew"
        )
    if view.region is not None:
        picture = view.region.crop(picture)
    return np.asarray(picture.max(axis=2) > 0, np.bool_)


def _values(group: list[Scores], figure: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([getattr(one, figure) for one in group], np.float64)
