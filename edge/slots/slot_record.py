"""What a calibration's slot.yaml holds."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import Field, field_validator

from edge.bundle import ReferenceImage
from edge.cameras.camera_settings import CameraSettings
from edge.line.station_view import View
from edge.storage.strict_yaml import StrictModel

RECORD = "slot.yaml"
QUANTILES = 21
OUTSIDE_THE_HASH = ("serial", "created", "operator", "content_sha256")

PromiseKind = Literal["exact", "approximate", "extrapolated"]


class Promise(StrictModel):
    """What the threshold promises of good parts like the calibration images.

    kind: exact where no image did two jobs; approximate where the jobs were cross-fitted; extrapolated where the rate is beyond
    the images and a tail was fitted to their scores.
    """

    false_reject_rate: float = Field(gt=0, le=1)
    confidence: float = Field(gt=0, lt=1)
    images: int = Field(ge=1)
    allowed_above: int = Field(ge=0)
    kind: PromiseKind

    def describe(self) -> str:
        """In words."""
        return (
            f"at most {self.false_reject_rate:.2%} false rejects promised "
            f"({self.confidence:.0%} confidence{'' if self.kind == 'exact' else f', {self.kind}'})"
        )


class Baseline(StrictModel):
    """How one figure was distributed over the good images; later ones are compared with it.

    quantiles: QUANTILES equally spaced ones, from the lowest figure to the highest.
    """

    mean: float
    deviation: float
    low: float
    high: float
    quantiles: list[float]

    @field_validator("quantiles")
    @classmethod
    def _ascending(cls, value: list[float]) -> list[float]:
        if len(value) != QUANTILES or value != sorted(value):
            raise ValueError(f"expected {QUANTILES} ascending numbers, got {value}; calibrate again")
        return value


class CheckCount(StrictModel):
    """Of the images given to --check, in one of its folders: how many were scored, and how many rejected."""

    images: int = Field(ge=1)
    rejected: int = Field(ge=0)


class SlotRecord(StrictModel):
    """slot.yaml, strict. ``images`` maps a job (center, weights, threshold) to the sha256 of the files that did it.

    frame_size: [width, height] in camera pixels where all images had the same, else null. dropped: sha256 of each image that was
    excluded as a suspect → why. checked: folder → what the threshold said of other images, which had no part in it.
    camera_settings: what the camera was locked to when it took them; null where not known. reference_images: one at least, without
    which a slot would fit every engine.
    """

    format_version: int
    serial: int
    created: str
    operator: str
    content_sha256: str
    model_id: str
    model_sha256: str
    precision: str
    runtime: str
    view: View
    frame_size: tuple[int, int] | None = Field(strict=False)
    camera_settings: CameraSettings | None
    threshold: float
    promise: Promise
    center_source: str
    images: dict[str, list[str]]
    passed_over: int
    dropped: dict[str, str]
    checked: dict[str, CheckCount] = Field(default_factory=dict)
    baseline: dict[str, Baseline]
    reference_images: list[ReferenceImage] = Field(min_length=1)
    files: dict[str, str]


def content_sha256(record: dict[str, Any]) -> str:
    """Identity of a calibration: all of its record but who made it, when, and under which number."""
    identity = {name: value for name, value in record.items() if name not in OUTSIDE_THE_HASH}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
