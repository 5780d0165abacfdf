"""What is said of the lines at the start: who drives them, or that nobody does."""

from __future__ import annotations

from edge.line.output_lines import OutputLines
from edge.line.shadow import WORDS
from edge.station_config import StationConfig


def lines_in_words(station: StationConfig, outputs: OutputLines | None) -> str:
    """What the parts may expect of the lines; ``outputs`` is None where none is opened."""
    if outputs is None:
        return "DRY RUN: no line is driven, and nothing is kept but the verdicts"
    if station.shadow:
        return WORDS
    if station.lines.backend == "recording":
        words = "RECORDING GPIO: a stand-in; no line is driven, bad parts are not stopped"
        trigger = station.trigger
        if trigger.inputs() and trigger.recording_pitch_ms is None:
            words += "; no input is read, so no part comes"
            words += ": `trigger: recording_pitch_ms` makes parts up" if trigger.kind == "photo_eye" else ""
        return words
    return "lines: " + ", ".join(outputs.names())
