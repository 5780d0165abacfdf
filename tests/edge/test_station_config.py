from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import ConfigError
from edge.station_config import load_station


def station_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "station.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("camra: {source: '0'}", "unknown key `camra`; did you mean `camera`?"),
        ("camera: {read_timeout: 5}", "unknown key `camera.read_timeout`; did you mean `read_timeout_ms`?"),
        ("lines: {reject: {chip: a, line: 1, actve: low}}", "unknown key `lines.reject.actve`; did you mean `active`?"),
        ("reject_pulse_ms: 200ms", "correct the value to a plain number of milliseconds"),
        ("reject_pulse_ms: 0.2", "`reject_pulse_ms`: "),
        ("reject_pulse_ms: 0", "greater than or equal to 1"),
        ("camera: {source: 0}", "`camera.source`: input should be a valid string, got 0"),
        ("region: {x: 1, y: 2, width: 30}", "key `region.height` is missing"),
        ("lines: {backend: fake}", "`lines.backend`"),
        ("reject_pulse_ms: 100\nreject_pulse_ms: 200", "line 2: not valid YAML: the key `reject_pulse_ms` appears twice"),
        ("camera: {exposure_us: .nan}", "`camera.exposure_us`: input should be a finite number"),
        ("camera: {exposure: 80}", "unknown key `camera.exposure`; did you mean `exposure_us`?"),
        ("lines: {reject: {chip: a, line: -1}}", "`lines.reject.line"),
        ("camera: 2024-99-99", "not valid YAML"),
        ("[" * 3000, "not valid YAML"),
        ("- a list", "expected keys and values, got list"),
        ("camera: [", "line 1: not valid YAML"),
        ("ignore_mask: nowhere.png", "does not exist"),
        ("ignore_mask: ''", "expected the path of a picture"),
    ],
)
def test_a_wrong_file_is_refused_with_the_key_and_the_remedy(tmp_path: Path, text: str, expected: str) -> None:
    path = station_file(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        load_station(path)
    assert expected in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_and_bytes_that_are_not_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="check the path"):
        load_station(tmp_path / "none.yaml")
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_station(tmp_path / "x.yaml")


def test_defaults_are_fail_safe(tmp_path: Path) -> None:
    station = load_station(station_file(tmp_path, "lines: {reject: {chip: tegra234-gpio, line: PQ.05}}"))
    assert station.lines.backend == "gpiod"
    assert station.lines.reject is not None
    assert station.lines.reject.active == "low"


def test_the_mask_is_found_beside_the_file(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "mask.png"), np.zeros((4, 4), np.uint8))
    assert load_station(station_file(tmp_path, "ignore_mask: mask.png")).ignore_mask == tmp_path / "mask.png"


def test_the_documented_line_is_one(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "wiring.md").read_text(encoding="utf-8")
    station = load_station(station_file(tmp_path, text.split("```yaml\n")[1].split("```")[0]))
    assert station.trigger.kind == "photo_eye"
    assert station.reject_confirm is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("reject_confirm: {sensor: {pin: 7}, from_ms: 50, to_ms: 20}", "to_ms must come after from_ms, got 50 and 20"),
        ("line_stop: {rejects_in_a_row: 1}", "greater than or equal to 2"),
        ("strobe: {duration_ms: 0}", "greater than 0"),
        ("trigger: {kind: photoeye}", "`trigger.kind`"),
        ("lines: {heartbeat: {chip: a}}", "`lines.heartbeat`: key `line` is missing"),
        ("timing: {deadline_ms: 90}", "`timing` is of parts that a trigger tells of, and there is none"),
        ("line_stop: {rejects_in_a_row: 3}", "add `trigger:`, or remove `line_stop`"),
        ("reject_confirm: {sensor: {pin: 7}}", "remove `reject_confirm`"),
        ("lines: {reject: {pin: 7}}\ntrigger: {kind: photo_eye, eye: {line: BOARD_7}}", "`reject` and `eye` are both pin 7"),
        (
            "trigger: {kind: photo_eye, eye: {pin: 29}}\nreject_confirm: {sensor: {pin: 29}}",
            "`eye` and `reject_confirm` are both pin 29",
        ),
    ],
)
def test_a_line_that_cannot_be_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_station(station_file(tmp_path, text))
    assert expected in str(error.value)
