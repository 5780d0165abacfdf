"""From the station's configuration to lines; a stand-in only where it is named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from edge.clock import Clock
from edge.gpio.base import OutputLine
from edge.gpio.gpiod_inputs import GpiodInputs
from edge.gpio.input_lines import Edge, InputLines
from edge.gpio.libgpiod import GpiodLine
from edge.gpio.recording import RecordingLine
from edge.gpio.recording_inputs import RecordingInputs
from edge.line.line_config import InputConfig, LineConfig

Backend = Literal["gpiod", "recording"]


def open_line(name: str, config: LineConfig | None, safe: bool, backend: Backend, clock: Clock) -> OutputLine | None:
    """The line called ``name``, holding ``safe``; None where the station has none. Raises LineOpenError."""
    if backend == "recording":
        return RecordingLine(f"{name} line (recording)", safe, clock)
    return GpiodLine(name, config, safe) if config is not None else None


def open_inputs(
    configs: Mapping[str, InputConfig],
    backend: Backend,
    clock: Clock,
    script: Iterable[Edge] = (),
    only: Mapping[str, bool] | None = None,
) -> InputLines:
    """The inputs by name. script: what the stand-in plays. only: lines of which one edge is wanted, rising where True.

    Raises LineOpenError.
    """
    if backend == "recording":
        return RecordingInputs(configs, clock, script, only)
    return GpiodInputs(configs, clock, only)
