"""Keys of station.yaml for what is kept of the parts: records and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from edge.storage.strict_yaml import StrictModel


class RecordsConfig(StrictModel):
    """How long records are kept; the oldest go first. A million parts take 0.13 GB, and more where many have a reason."""

    keep_parts: int = Field(1_000_000, ge=1000, description="most parts that are kept")
    keep_days: float | None = Field(None, gt=0, le=36500, description="and none older than this, by the machine's clock")


class ArchiveConfig(StrictModel):
    """Which pictures are kept, and how much room they may take."""

    folder: Path | None = Field(None, strict=False, description="where; the state's folder `archive` when left out")
    budget_mb: int = Field(2000, ge=0, description="room for all pictures together, megabytes; 0 keeps none")
    free_floor_mb: int = Field(1000, ge=0, description="nothing is kept while the disk has less free than this")
    borderline_share: float = Field(0.1, ge=0, le=1, description="a pass this close below the threshold, relative to it, is kept")
    good_share: float = Field(0.01, ge=0, le=1, description="share of the other good parts that is kept")
    format: Literal["png", "jpeg"] = Field("png", description="png is lossless")
    jpeg_quality: int = Field(95, ge=1, le=100)
    heat_maps: bool = Field(True, description="beside each picture a small one with its heat map")
    queue_mb: int = Field(256, ge=1, description="memory for pictures that wait for the disk; what does not fit is not kept")
