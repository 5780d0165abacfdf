"""The station's lines to the machine: which chip and line each is, and which level means what."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, NonNegativeInt, model_validator

from edge.storage.strict_yaml import StrictModel

BOARD_PIN = re.compile(r"BOARD_([1-9][0-9]?)")


class LineConfig(StrictModel):
    """One GPIO line: by chip and line, or by its pin on the 40-pin header of a known board (``pin: 7`` or ``line: BOARD_7``)."""

    chip: str | None = Field(None, description="label (tegra234-gpio) or path (/dev/gpiochip0); left out for a pin of the header")
    line: str | NonNegativeInt | None = Field(None, description="line name (PQ.05), offset, or BOARD_7 for a pin of the header")
    pin: int | None = Field(None, ge=1, le=40, description="number on the 40-pin header, in place of chip and line")
    active: Literal["high", "low"] = Field("high", description="physical level that means `true`")

    @model_validator(mode="after")
    def _one_way_to_name_it(self) -> LineConfig:
        if self.pin is not None and (self.chip is not None or self.line is not None):
            raise ValueError("expected either `pin`, or `chip` and `line`, got both; remove one")
        if self.board_pin is not None:
            if self.chip is not None:
                raise ValueError(f"a pin of the header has no `chip`, got {self.chip!r}; remove it")
            return self
        for key in ("chip", "line"):
            if getattr(self, key) is None:
                raise ValueError(f"key `{key}` is missing; add it, or name a pin of the header, such as `pin: 7`")
        return self

    @property
    def board_pin(self) -> int | None:
        """Its number on the 40-pin header; None where chip and line are named."""
        if self.pin is not None:
            return self.pin
        named = BOARD_PIN.fullmatch(self.line) if isinstance(self.line, str) else None
        return int(named[1]) if named else None

    def describe(self) -> str:
        """As the station file has it, in few words."""
        return f"pin {self.board_pin}" if self.board_pin is not None else f"{self.chip} {self.line}"


class FailSafeLineConfig(LineConfig):
    """A line whose dead level is the careful one: low means `true`, so that it must be driven for the machine to go on."""

    active: Literal["high", "low"] = "low"


class InputConfig(LineConfig):
    """One GPIO input. An edge counts once the level has stood still for ``debounce_ms``; its time is when it began to."""

    bias: Literal["as_is", "disabled", "pull_up", "pull_down"] = Field("as_is", description="pull inside the chip")
    debounce_ms: float = Field(0, ge=0, le=200, description="the level must stand still for so long; 0: every edge counts")


class LinesConfig(StrictModel):
    """Outputs to the machine. A line that is left out is not driven."""

    backend: Literal["gpiod", "recording"] = Field("gpiod", description="recording drives nothing and says so")
    reject: FailSafeLineConfig | None = Field(None, description="true: the part at the arm is to be taken out")
    stop: FailSafeLineConfig | None = Field(None, description="true: stop the line; also while nothing inspects")
    fault: FailSafeLineConfig | None = Field(None, description="true: needs a person; also while nothing inspects")
    ready: LineConfig | None = Field(None, description="true: parts may come")
    ok: LineConfig | None = Field(None, description="true: the last part was good")
    heartbeat: LineConfig | None = Field(None, description="toggles while parts can be judged, stands still otherwise")
    strobe: LineConfig | None = Field(None, description="true: light on; see `strobe:`")

    @model_validator(mode="after")
    def _each_line_once(self) -> LinesConfig:
        seen: dict[str, str] = {}
        for name in OUTPUTS:
            config: LineConfig | None = getattr(self, name)
            if config is None:
                continue
            first = seen.setdefault(config.describe(), name)
            if first != name:
                raise ValueError(f"`{first}` and `{name}` are both {config.describe()}; give each a line of its own")
        return self


OUTPUTS = ("reject", "stop", "fault", "ready", "ok", "heartbeat", "strobe")
SAFE = {"reject": True, "stop": True, "fault": True, "ready": False, "ok": False, "heartbeat": False, "strobe": False}
"""What each output says at the start, at the end, and whenever nothing is known."""


class StrobeConfig(StrictModel):
    """The light of a triggered picture, on ``lines: strobe``."""

    lead_ms: float = Field(1.0, ge=0, le=1000, description="on so long before the exposure begins")
    duration_ms: float = Field(10.0, gt=0, le=1000, description="off so long after it went on")


class RejectConfirmConfig(StrictModel):
    """The sensor that sees a rejected part leave the line."""

    sensor: InputConfig
    edge: Literal["begin", "end"] = Field("begin", description="the part comes into the sensor, or leaves it")
    from_ms: float = Field(0, ge=0, le=60000, description="earliest after the begin of the reject pulse")
    to_ms: float = Field(500, gt=0, le=60000, description="latest after the begin of the reject pulse")

    @model_validator(mode="after")
    def _ordered(self) -> RejectConfirmConfig:
        if self.to_ms <= self.from_ms:
            raise ValueError(f"to_ms must come after from_ms, got {self.from_ms:g} and {self.to_ms:g}; correct them")
        return self


class LineStopConfig(StrictModel):
    """When the line is to be stopped. A bad part that may have gone on always stops it."""

    rejects_in_a_row: int | None = Field(None, ge=2, le=1000, description="so many rejected parts one after the other")
    failed_confirms: int = Field(1, ge=1, le=1000, description="so many rejects in a row that the sensor did not see")
