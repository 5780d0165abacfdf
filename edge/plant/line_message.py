"""What the plant is told of the line: the JSON of MQTT's state topic."""

from __future__ import annotations

from typing import Literal, cast

from pydantic import Field

from edge.live.live_status import LiveStatus
from edge.plant.part_result import utc
from edge.storage.strict_yaml import StrictModel

OFFLINE: Literal["offline"] = "offline"
LineState = Literal["offline", "starting", "self-test", "ready", "running", "degraded", "fault", "stopped"]
"""`offline`, and the values of edge.supervision.states.State."""


class LineMessage(StrictModel):
    """The line now. Where no inspection answers, state is ``offline`` and all else is empty."""

    schema_version: Literal[1] = 1
    state: LineState
    time: str | None = Field(None, description="of the figures: UTC, by the machine's clock")
    faults: dict[str, str] = Field({}, description="why no part can be known to be good, by name")
    weaknesses: dict[str, str] = Field({}, description="what else is not as it should be, by name")
    shadow: bool | None = Field(None, description="true: verdicts are recorded, and no line acts on them")
    recipe: str | None = Field(None, description="the product; empty where the station has one only")
    model_id: str | None = None
    precision: str | None = None
    calibration_serial: int | None = None
    threshold: float | None = None
    settings: str | None = Field(None, description="checksum of all that decides, sha256 in hex")
    outcomes: dict[str, int] = Field({}, description="parts by verdict, since the start")
    triggers: dict[str, int] = Field({}, description="triggers by what became of them, since the start")
    drift: str | None = Field(None, description="what has changed since the calibration; empty where nothing has")

    @classmethod
    def of(cls, status: LiveStatus | None) -> LineMessage:
        """None: no inspection answers."""
        if status is None:
            return cls(state=OFFLINE)
        product = status.product
        return cls(
            state=cast(LineState, status.state), time=utc(status.wall_ns), faults=status.faults, weaknesses=status.weaknesses,
            shadow=status.shadow, recipe=product.recipe, model_id=product.model_id, precision=product.precision,
            calibration_serial=product.calibration_serial, threshold=product.threshold, settings=status.settings,
            outcomes=status.outcomes, triggers=status.triggers, drift=status.drift,
        )  # fmt: skip

    def news_since(self, other: LineMessage | None) -> bool:
        """Whether more than figures that count on has changed."""
        counts = {"time", "outcomes", "triggers"}
        return other is None or self.model_dump(exclude=counts) != other.model_dump(exclude=counts)
