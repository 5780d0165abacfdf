"""`timing:` of the station file: from the trigger to the arm."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edge.errors import ConfigError
from edge.line.part_tracker import PartTiming
from edge.storage.strict_yaml import StrictModel

MS = 1_000_000


WITHOUT_RATE_MS = 34.0
"""One frame of 30 a second."""


class TimingConfig(StrictModel):
    """From the trigger to the arm; only with a trigger."""

    deadline_ms: int = Field(150, ge=1, le=600_000, description="from the trigger to the verdict; later is a FAULT")
    reject_delay_ms: int | None = Field(None, ge=1, le=600_000, description="from the trigger to the arm")
    reject_delay_counts: int | None = Field(None, ge=1, description="the same in encoder counts")
    spacing_ms: int | None = Field(None, ge=1, description="parts closer than this are both rejected; default: pulse + tolerance")
    tolerance_ms: int = Field(2, ge=0, le=1000, description="the line may change so late in a part's window")
    exposure_lead_ms: float | None = Field(
        None, ge=0, description="exposure may begin so long before a frame's time stamp; default: one frame"
    )
    exposure_within_ms: float = Field(100, gt=0, description="a frame later than this after its trigger is a FAULT")
    parts_in_flight: int = Field(64, ge=1, le=10_000)
    travel_limit_ms: int = Field(
        60_000, ge=1, description="a part that the encoder does not bring to the arm in this time is a FAULT"
    )
    between_parts: Literal["reject", "pass"] = Field("reject", description="what the line says while no part is at the arm")

    def lead_ns(self, frames_per_second: float | None) -> int:
        """How long before its time stamp a frame's exposure may have begun, nanoseconds; one frame where nobody says."""
        frame_ms = WITHOUT_RATE_MS if frames_per_second is None else 1000 / frames_per_second
        return round((frame_ms if self.exposure_lead_ms is None else self.exposure_lead_ms) * 1e6)

    def part_timing(self, pulse_ms: int, debounce_ms: float) -> PartTiming:
        """As the tracker takes it; raises ConfigError where the times contradict each other."""
        if (self.reject_delay_ms is None) == (self.reject_delay_counts is None):
            raise ConfigError("timing: a trigger needs either reject_delay_ms or reject_delay_counts; give one of them")
        spacing = self.spacing_ms if self.spacing_ms is not None else pulse_ms + self.tolerance_ms
        try:
            return PartTiming(
                deadline=self.deadline_ms * MS,
                delay=(self.reject_delay_ms or 0) * MS,
                pulse=pulse_ms * MS,
                debounce=round(debounce_ms * MS),
                spacing=spacing * MS,
                tolerance=self.tolerance_ms * MS,
                delay_counts=self.reject_delay_counts,
                travel_limit=self.travel_limit_ms * MS,
                capacity=self.parts_in_flight,
                idle_rejects=self.between_parts == "reject",
            )
        except ValueError as error:
            raise ConfigError(f"timing: {error}; correct the station file") from error
