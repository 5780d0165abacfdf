"""What the plant is told of one part: the JSON of MQTT and webhook, and what registers and OPC UA nodes are made of."""

from __future__ import annotations

import time
from typing import Any, Literal, NamedTuple

from pydantic import Field

from edge.storage.strict_yaml import StrictModel
from edge.verdict import finite_or_none

COLUMNS = (
    "part_id", "wall_ns", "outcome", "reason", "action", "late_ns", "feature_score", "reconstruction_score", "score", "threshold",
    "calibration_serial", "precision", "recipe", "source",
)  # fmt: skip
"""Of the records, as ``PartResult.of_row`` takes them."""


class Place(NamedTuple):
    """A part in the records ``records_id``. wall_ns: None before the first; tells it from one of a copy that was put back."""

    records_id: str
    part_id: int
    wall_ns: int | None

    @classmethod
    def of(cls, key: str) -> Place:
        """Of a part by its key; raises ValueError where it is none."""
        records_id, *numbers = key.split("-")
        part_id, wall_ns = (int(number) for number in numbers if len(number) < 20)
        if max(part_id, wall_ns) >= 2**63:
            raise ValueError(f"expected the key of a part, got {key!r}; give one that was told")
        return cls(records_id, part_id, wall_ns)


class Gap(StrictModel):
    """Parts that are not told, and never will be."""

    expected: int = Field(description="the part that should have come next; those from it to this one are missing")
    reason: str = Field(description="why, in one line")


class PartResult(StrictModel):
    """One part, when it has left the arm and nothing of its verdict changes any more."""

    schema_version: Literal[1] = 1
    key: str = Field(description="the part's identity: the same key is the same part, told again")
    part_id: int = Field(description="grows by one with each part; see `gap`")
    time: str = Field(description="when it was first recorded: UTC, by the machine's clock")
    outcome: Literal["PASS", "REJECT", "FAULT"] = Field(description="FAULT: not known to be good, and treated as REJECT")
    reason: str = Field(description="why it is rejected or at fault; empty for a PASS")
    action: Literal["passed", "rejected", "late", "unknown", "untracked"] = Field(
        description="what the line did with it; late: it said pass to one that was no PASS; untracked: a line without triggers"
    )
    late_ms: float | None = Field(description="how long the line said pass to a part that was not, milliseconds")
    score: float | None = Field(description="at or above the threshold is a REJECT; null where there was none")
    threshold: float | None
    feature_score: float | None
    reconstruction_score: float | None
    calibration_serial: int | None
    precision: str
    recipe: str = Field(description="the product; empty where the station has one only")
    source: str = Field(description="camera and frame")
    gap: Gap | None = Field(description="parts missing before this one; null where there are none")

    @property
    def place(self) -> Place:
        """Where it stands in the records."""
        return Place.of(self.key)

    @classmethod
    def of_row(cls, records_id: str, row: tuple[Any, ...], gap: Gap | None) -> PartResult:
        """row: COLUMNS of the records; raises pydantic's ValidationError for values that no edge-inspect writes."""
        values = dict(zip(COLUMNS, finite_or_none(row), strict=True))
        wall_ns, late_ns = values.pop("wall_ns"), values.pop("late_ns")
        return cls(
            key=f"{records_id}-{values['part_id']}-{wall_ns}", time=utc(wall_ns),
            late_ms=None if late_ns is None else late_ns / 1e6, gap=gap, **values,
        )  # fmt: skip


def utc(wall_ns: int) -> str:
    """ISO 8601 in UTC, to the microsecond."""
    seconds, rest = divmod(wall_ns, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest // 1000:06d}Z"
