"""What calibration found of each image: the rows of its report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.verdict import Scores

Job = Literal["center", "weights", "threshold", "all"]


@dataclass(frozen=True, slots=True)
class ImageResult:
    """One image. job: "all" where the jobs are cross-fitted.

    L1, L2 and L are by a C that the image did not enter (of a training image: from the other half of them), on the scale of the
    final weights. fold: None in a split. The rest is the engine's image quality (edge.graph_contract). suspect: why the image may
    not belong here, one line a reason; empty for most.
    """

    path: Path
    sha256: str
    session: str
    job: Job
    fold: int | None
    feature_score: float
    reconstruction_score: float
    score: float
    brightness: float
    saturation: float
    sharpness: float
    suspect: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        image: tuple[Path, str],
        session: str,
        job: Job,
        fold: int | None,
        held_out: tuple[float, float, float],
        quality: Scores,
    ) -> ImageResult:
        """held_out: L1, L2, L; quality: any scores of the image, for what does not depend on C."""
        return cls(*image, session, job, fold, *held_out, quality.brightness, quality.saturation, quality.sharpness)
