"""Who tries a station on the stand-in must not wait for parts that cannot come."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.clock import ManualClock
from edge.line.lines_in_words import lines_in_words
from edge.line.output_lines import OutputLines
from edge.station_config import load_station


@pytest.mark.parametrize(
    ("trigger", "ends"),
    [
        ("{kind: free}", "bad parts are not stopped"),
        ("{kind: software}", "bad parts are not stopped"),
        ("{kind: photo_eye, eye: {pin: 29}, recording_pitch_ms: 100}", "bad parts are not stopped"),
        ("{kind: photo_eye, eye: {pin: 29}}", "no part comes: `trigger: recording_pitch_ms` makes parts up"),
        ("{kind: encoder, encoder: {a: {pin: 31}}, every_counts: 10}", "no input is read, so no part comes"),
    ],
)
def test_a_stand_in_says_where_no_part_comes(tmp_path: Path, trigger: str, ends: str) -> None:
    (tmp_path / "s.yaml").write_text(f"lines: {{backend: recording}}\ntrigger: {trigger}\n", encoding="utf-8")
    station = load_station(tmp_path / "s.yaml")
    with OutputLines(station.lines, ManualClock()) as outputs:
        assert lines_in_words(station, outputs).endswith(ends)
