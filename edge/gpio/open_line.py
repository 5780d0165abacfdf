"""From the station's configuration to an output line; a stand-in only where it is named."""

from __future__ import annotations

from typing import Literal

from edge.clock import Clock
from edge.gpio.base import OutputLine
from edge.gpio.libgpiod import GpiodLine
from edge.gpio.recording import RecordingLine
from edge.station_config import LineConfig

Backend = Literal["gpiod", "recording"]


def open_line(name: str, config: LineConfig | None, safe: bool, backend: Backend, clock: Clock) -> OutputLine | None:
    """The line called ``name``, holding ``safe``; None where the station has none. Raises LineOpenError."""
    if backend == "recording":
        return RecordingLine(f"{name} line (recording)", safe, clock)
    return GpiodLine(name, config, safe) if config is not None else None
