"""What says that a part is there."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from edge.line.line_config import InputConfig
from edge.storage.strict_yaml import StrictModel


class EncoderConfig(StrictModel):
    """The conveyor's encoder: one track (A: a count for each pulse) or two (A/B: four counts a pulse, with direction)."""

    a: InputConfig
    b: InputConfig | None = Field(None, description="second track; without it the conveyor is taken to run forward only")
    reverse: bool = Field(False, description="forward counts down; exchange the tracks' sense")

    @model_validator(mode="after")
    def _direction_needs_two_tracks(self) -> EncoderConfig:
        if self.reverse and self.b is None:
            raise ValueError("`reverse` needs both tracks, `b` is missing; add it or remove `reverse`")
        return self


class TriggerConfig(StrictModel):
    """``free``: every picture is a part. ``photo_eye``: an input. ``encoder``: every so many counts. ``software``: a socket."""

    kind: Literal["free", "photo_eye", "encoder", "software"] = "free"
    eye: InputConfig | None = Field(None, description="photo_eye: true while a part interrupts it; see `active`")
    edge: Literal["begin", "end"] = Field("begin", description="photo_eye: the part comes into the beam, or leaves it")
    encoder: EncoderConfig | None = Field(None, description="encoder; photo_eye: where the conveyor is at each part")
    every_counts: int | None = Field(None, ge=1, le=1_000_000_000, description="encoder: counts from part to part")
    expected_pitch_ms: float | None = Field(None, gt=0, le=3_600_000, description="parts come so far apart in time")
    expected_pitch_counts: int | None = Field(None, ge=1, le=1_000_000_000, description="parts come so far apart on the conveyor")
    pitch_tolerance: float = Field(0.25, gt=0, lt=0.5, description="share of a pitch that a part may be early or late")
    recording_pitch_ms: float | None = Field(
        None, ge=1, le=3_600_000, description="photo_eye with `backend: recording`: a made-up part every so often"
    )

    @model_validator(mode="after")
    def _what_the_kind_needs(self) -> TriggerConfig:
        needs = {"photo_eye": ("eye",), "encoder": ("encoder", "every_counts")}.get(self.kind, ())
        takes = {"photo_eye": ("eye", "encoder", "expected_pitch_ms", "expected_pitch_counts", "recording_pitch_ms"),
                 "encoder": ("encoder", "every_counts"), "software": ("expected_pitch_ms",), "free": ()}[self.kind]  # fmt: skip
        for key in needs:
            if getattr(self, key) is None:
                raise ValueError(f"a trigger of kind {self.kind} needs `{key}`; add it")
        for key in type(self).model_fields:
            if key not in ("kind", "edge", "pitch_tolerance", *takes) and getattr(self, key) is not None:
                raise ValueError(f"a trigger of kind {self.kind} has no `{key}`; remove it, or choose another kind")
        seen: dict[str, str] = {}
        for name, config in self.inputs().items():
            if (first := seen.setdefault(config.describe(), name)) != name:
                raise ValueError(f"{first} and {name} are both {config.describe()}; give each a line of its own")
        if self.expected_pitch_ms is not None and self.expected_pitch_counts is not None:
            raise ValueError("expected one of expected_pitch_ms and expected_pitch_counts, got both; remove one")
        if self.expected_pitch_counts is not None and self.encoder is None:
            raise ValueError("expected_pitch_counts needs `encoder`; add it, or use expected_pitch_ms")
        return self

    def inputs(self) -> dict[str, InputConfig]:
        """The input lines it needs, by the names that the triggers know them by."""
        named = {"eye": self.eye}
        if self.encoder is not None:
            named |= {"encoder A": self.encoder.a, "encoder B": self.encoder.b}
        return {name: config for name, config in named.items() if config is not None}
