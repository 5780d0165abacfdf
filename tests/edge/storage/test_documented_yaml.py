from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, Field

from edge.station_config import StationConfig, load_station
from edge.storage.documented_yaml import documented_yaml
from edge.storage.strict_yaml import StrictModel, load_yaml_text, parse

STATION = """
camera: {source: "0", width: 1280, height: 720, exposure_us: 8000, gain: 2}
region: {x: 200, y: 60, width: 900, height: 600}
lines:
  reject: {chip: tegra234-gpio, line: PQ.05, active: low}
  ready: {pin: 7}
trigger: {kind: photo_eye, eye: {pin: 29, active: low, bias: pull_up, debounce_ms: 2}, encoder: {a: {pin: 31}}}
timing: {deadline_ms: 150, reject_delay_counts: 400}
reject_confirm: {sensor: {pin: 33}, from_ms: 5}
"""


@pytest.mark.parametrize("text", ["", STATION, "ignore_mask: mask.png", 'camera: {source: "file://a: b # c"}'])
def test_a_station_loads_from_its_own_explanation(text: str) -> None:
    station = parse(StationConfig, load_yaml_text(text, "test"), "test")
    explained = documented_yaml(station)
    assert parse(StationConfig, load_yaml_text(explained, "explained"), "explained") == station


def keys(model: type[BaseModel]) -> set[str]:
    return set(model.model_fields)


def test_every_key_is_there_also_what_is_left_out() -> None:
    explained = documented_yaml(StationConfig())
    for key in keys(StationConfig) | {"active", "bias", "every_hours", "jpeg_quality", "from_ms"}:
        assert f"{key}:" in explained
    uncommented = "\n".join(line.removeprefix("# ") for line in explained.splitlines())
    assert "region" in yaml.safe_load(uncommented)


class Inner(StrictModel):
    """What is inside. Not this."""

    wide: float = Field(ge=0, lt=2, description="how wide")


class Outer(StrictModel):
    first: Inner | None = None
    again: Inner | None = Field(None, description="another")
    there: Inner = Inner(wide=1)
    count: int | str = 3


def test_in_full() -> None:
    assert documented_yaml(Outer()).splitlines() == [
        "# first:  # What is inside. Not this.",
        "#   wide: null  # how wide; a number ≥ 0 and < 2",
        "# again:  # another; keys as of `first`",
        "there:  # What is inside. Not this.",
        "  wide: 1.0  # how wide; a number ≥ 0 and < 2",
        "count: 3  # a whole number or text",
    ]


def test_the_command_prints_what_it_would_take(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from edge.cli import main

    station = tmp_path / "station.yaml"
    station.write_text("shadow: true")
    assert main(["--print-config", "--station", str(station), "--camera", "7", "--gpio", "recording"]) == 0
    printed = tmp_path / "printed.yaml"
    printed.write_text(capsys.readouterr().out)
    loaded = load_station(printed)
    assert (loaded.shadow, loaded.camera.source, loaded.lines.backend) == (True, "7", "recording")
    station.write_text("shadwo: true")
    assert main(["--print-config", "--station", str(station)]) == 2
    assert "shadow" in capsys.readouterr().err
