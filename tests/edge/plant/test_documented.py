"""docs/plant.md, its schemas and the example of station.yaml say what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from edge.errors import ConfigError
from edge.plant.line_message import LineMessage, LineState
from edge.plant.metrics import families
from edge.plant.opcua_nodes import LINE, RESULT
from edge.plant.part_result import PartResult
from edge.plant.plant_config import PlantConfig
from edge.plant.register_map import REGISTERS
from edge.station_config import load_station
from edge.supervision.states import State
from tests.edge.plant.plant_scene import status

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "plant.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[str]:
    """Of the table under that heading line."""
    _, _, rest = TEXT.partition(f"\n{heading}\n")
    return [line for line in rest.partition("\n\n")[0].splitlines() if not line.startswith("|---")]


def test_the_register_map() -> None:
    assert rows("| address | name | type | written by | meaning |") == [
        f"| {one.address} | `{one.name}` | {one.kind.name.lower()} | {'PLC' if one.writable else ''} | {one.meaning} |"
        for one in REGISTERS
    ]


def test_the_nodes() -> None:
    assert rows("| node | type | meaning |") == [
        f"| `{parent}.{name}` | {kind} | {meaning} |"
        for parent, table in (("Line", LINE), ("Result", RESULT))
        for name, kind, meaning in table
    ]


def test_the_figures() -> None:
    full = status(faults={"camera": "lost"}, verdict={"scores": {"score": 0.5}})
    assert rows("| figure | what |") == [
        f"| `{one.name}{'_total' if one.type == 'counter' else ''}` {one.type} | {one.documentation} |"
        for one in families(full, {}, {"mqtt": 1})
    ]


@pytest.mark.parametrize(("name", "model"), [("plant-part", PartResult), ("plant-state", LineMessage)])
def test_the_schemas(name: str, model: type[BaseModel]) -> None:
    assert json.loads((DOCS / "schemas" / f"{name}.json").read_text(encoding="utf-8")) == model.model_json_schema()


def test_every_state_is_in_the_schema() -> None:
    assert set(LineState.__args__) == {"offline", *(state.value for state in State)}  # type: ignore[attr-defined]


def test_the_example_is_a_station(tmp_path: Path) -> None:
    match = re.search(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert match is not None
    station = tmp_path / "station.yaml"
    station.write_text(match[1])
    plant = load_station(station).plant
    assert set(yaml.safe_load(match[1])["plant"]) == set(PlantConfig.model_fields)
    assert plant.mqtt is not None
    assert plant.mqtt.password_file == tmp_path / "mqtt.password"
    assert PlantConfig.model_validate_json(plant.model_dump_json()) == plant


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{mqtt: {host: a, tpic: b}}", "did you mean `topic`?"),
        ("{mqtt: {host: a, topic: 'a/#'}}", "expected a topic without + and #"),
        ("{mqtt: {host: a, ca_file: b}}", "expected `tls: true` with ca_file"),
        ("{mqtt: {host: a, password_file: b}}", "expected a username with password_file"),
        ("{mqtt: {host: a, tls: true, key_file: b}}", "expected certificate_file and key_file together"),
        ("{webhook: {url: 'ftp://a'}}", "expected http:// or https://"),
        ("{webhook: {url: 'http://user:secret@a'}}", "no password"),
        ("{opcua: {security: sign}}", "expected certificate_file, key_file and trusted_folder"),
        ("{modbus: {port: 70000}}", "less than or equal to 65535"),
        ("{prometheus: {}}", "unknown key `plant.prometheus`"),
    ],
)
def test_what_cannot_be_is_told(tmp_path: Path, text: str, said: str) -> None:
    station = tmp_path / "station.yaml"
    station.write_text(f"plant: {text}\n")
    with pytest.raises(ConfigError) as error:
        load_station(station)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_nothing_runs_unless_it_is_named() -> None:
    assert not PlantConfig().wanted
    assert PlantConfig.model_validate({"metrics": {}}).wanted
