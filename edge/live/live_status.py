"""What a running inspection says of itself, for a page, a plant or a terminal beside it."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from edge.storage.strict_yaml import StrictModel

SOCKET = "live.sock"
STATUS = b"S"
"""Asks for the newest status; answered at once."""
VIEW = b"V"
"""Asks for the newest part with its picture and its map; answered when there is a newer one than the last."""
MAGIC = b"EIL1"
MOST_HEADER_BYTES = 262_144
MOST_CONTENT_BYTES = 256 * 2**20
STAGE_BOUNDS_MS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 500.0, 1000.0, 2000.0)
"""Upper ends of the histogram's bins; one more is open."""


class StageTimes(StrictModel):
    """How long one stage took. counts: of parts in each bin of STAGE_BOUNDS_MS, and above; total_ms: their sum."""

    counts: list[int]
    total_ms: float


class LiveProduct(StrictModel):
    """What is inspected, and by what."""

    recipe: str
    model_id: str
    precision: str
    runtime: str
    calibration_serial: int
    threshold: float
    promise: str


class LiveStatus(StrictModel):
    """Counts are since the start. verdict: the last one's record, None before the first. Reasons by name, as in LineStates.

    number: grows with each part and each change of state. drift: in a few words, empty while there is none. lines: what the line
    is driven by, in words; empty where all is as it should be. lost: what could not be kept, by what keeps it. drift_figures: of
    the parts of late, and of the calibration's. temperatures: °C by zone. settings: sha256 of the station file's content and all
    of ``product`` but what it promises: the same, and the same pictures get the same verdicts.
    """

    version: str
    started_wall_ns: int
    wall_ns: int
    number: int
    state: str
    faults: dict[str, str]
    weaknesses: dict[str, str]
    camera: str
    lines: str
    shadow: bool
    product: LiveProduct
    outcomes: dict[str, int]
    triggers: dict[str, int]
    lost: dict[str, int]
    stages: dict[str, StageTimes]
    drift: str
    drift_figures: dict[str, tuple[float, float]]
    temperatures: dict[str, float]
    settings: str
    verdict: dict[str, Any] | None


class LiveView(StrictModel):
    """The header of a view: ``height·width·3`` bytes BGR and ``map_height·map_width`` float32 of the anomaly map follow.

    region: x, y, width and height of what the map lies over, None for the whole picture. width and height are 0 where the part has
    no picture, those of the map where there was none.
    """

    verdict: dict[str, Any]
    width: int = Field(ge=0, le=16384)
    height: int = Field(ge=0, le=16384)
    map_width: int = Field(ge=0, le=16384)
    map_height: int = Field(ge=0, le=16384)
    region: tuple[int, int, int, int] | None = Field(strict=False)

    def image_bytes(self) -> int:
        """Of the picture."""
        return self.height * self.width * 3

    def map_bytes(self) -> int:
        """Of the map."""
        return self.map_height * self.map_width * 4
