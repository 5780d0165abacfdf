"""A PLC (pymodbus's client) that triggers, takes results and acknowledges; and peers that write rubbish or come in numbers."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymodbus.client import ModbusTcpClient

from edge.clock import SystemClock
from edge.plant import plc_handshake
from edge.plant.modbus_server import MOST_PEERS
from edge.plant.plant_config import ModbusConfig, PlantConfig
from edge.plant.register_map import BY_NAME, LENGTH, OUTCOMES, decode
from edge.triggers.software import SOCKET, SoftwareTrigger
from tests.edge.plant.peers import free_port
from tests.edge.plant.plant_scene import Scene
from tests.until import until


class Plc:
    """Takes what is shown, acknowledges it, and keeps what it took."""

    def __init__(self, port: int) -> None:
        self.client = ModbusTcpClient("127.0.0.1", port=port, timeout=5, retries=0)
        until(self.client.connect)
        self.taken: list[dict[str, float]] = []
        self.last = 0

    def read(self) -> dict[str, float]:
        answer = self.client.read_input_registers(0, count=LENGTH)
        assert not answer.isError(), answer
        return decode(answer.registers)

    def write(self, name: str, value: int) -> Any:
        return self.client.write_register(BY_NAME[name].address, value)

    def cycle(self) -> bool:
        """One cycle of its program: it writes its acknowledgement in each, as PLCs do."""
        shown = self.read()
        assert shown["sequence"] == shown["sequence_again"]
        new = shown["sequence"] not in (0, self.last)
        if new:
            self.taken.append(shown)
            self.last = int(shown["sequence"])
        self.write("acknowledge", self.last)
        return new

    def ids(self) -> list[int]:
        return [int(one["part_id"]) for one in self.taken]

    def close(self) -> None:
        self.client.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path / "state")
    yield scene
    scene.close()


def config(port: int, **more: Any) -> PlantConfig:
    return PlantConfig(modbus=ModbusConfig(port=port, **more))


@pytest.fixture
def plc(scene: Scene) -> Iterator[Plc]:
    port = free_port()
    scene.start(config(port))
    plc = Plc(port)
    yield plc
    plc.close()


def test_every_result_is_shown_until_it_is_acknowledged(scene: Scene, plc: Plc) -> None:
    scene.inspect(60)
    first = until(lambda: plc.read()["sequence"])
    for _ in range(5):
        assert plc.read()["sequence"] == first
    until(lambda: plc.cycle() and len(plc.taken) == 60)
    assert plc.ids() == list(range(60))
    assert [OUTCOMES[int(one["outcome"])] for one in plc.taken[:4]] == ["PASS", "PASS", "REJECT", "FAULT"]
    assert not any(one["missing"] for one in plc.taken)
    until(lambda: plc.read()["sequence"] == 0)
    assert plc.read()["waiting"] == 0


def test_a_plant_that_is_started_again_shows_each_part_once(scene: Scene) -> None:
    port = free_port()
    plc: Plc | None = None
    taken: list[int] = []
    last = 0
    for _ in range(4):
        scene.inspect(20)
        scene.start(config(port))
        plc = Plc(port)
        plc.last = last
        while len(plc.taken) < 13:
            plc.cycle()
        taken, last = taken + plc.ids(), plc.last
        scene.stop()
        plc.close()
    assert taken == list(range(52))


def test_without_acknowledgement_the_newest_is_shown(scene: Scene) -> None:
    port = free_port()
    scene.inspect(50)
    scene.start(config(port, acknowledge=False))
    plc = Plc(port)
    until(lambda: plc.read()["part_id"] == 49)
    scene.inspect(1)
    until(lambda: plc.read()["part_id"] == 50)
    plc.close()


def test_each_new_number_is_one_trigger(scene: Scene, plc: Plc) -> None:
    trigger = SoftwareTrigger(scene.state / SOCKET, SystemClock())

    def came() -> int:
        return len(trigger.wait(0.2))

    plc.write("trigger", 17)  # what an earlier program of the PLC left there
    assert came() == 0
    assert plc.read()["trigger_taken"] == 0
    plc.write("trigger", 0)
    plc.write("trigger", 17)
    plc.write("trigger", 17)
    assert came() == 1
    assert until(lambda: plc.read()["trigger_taken"]) == 17
    plc.client.write_registers(0, [18, 0])
    assert came() == 1
    trigger.close()
    plc.write("trigger", 19)
    assert until(lambda: plc.read()["trigger_refused"]) == 19
    assert "trigger 19 of the PLC was lost: " in scene.weakness("modbus trigger")
    again = SoftwareTrigger(scene.state / SOCKET, SystemClock())
    plc.write("trigger", 20)
    assert len(again.wait(5)) == 1
    until(lambda: not scene.weakness("modbus trigger"))
    again.close()


def test_a_plc_that_does_not_acknowledge_is_told(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plc_handshake, "SILENT_NS", 1)
    monkeypatch.setattr(plc_handshake, "LOOK_S", 0.01)
    port = free_port()
    scene.inspect(1)
    scene.start(config(port))
    until(lambda: "has not acknowledged part 0" in scene.weakness("modbus acknowledge"))
    plc = Plc(port)
    until(plc.cycle)
    until(lambda: not scene.weakness("modbus acknowledge"))
    plc.close()


def test_what_is_read_at_once_is_of_one_moment(scene: Scene, plc: Plc) -> None:
    other = Plc(plc.client.comm_params.port)
    scene.inspect(30)
    seen = set()
    while len(plc.taken) < 30:
        plc.cycle()
        shown = other.read()
        if shown["sequence"]:
            seen.add(shown["sequence"])
            assert shown["sequence"] == shown["sequence_again"]
            assert shown["time"] == 1_700_000_000_000 + shown["part_id"] // 1_000_000
    assert seen
    other.close()


def test_only_what_is_the_plcs_can_be_written(scene: Scene, plc: Plc) -> None:
    for address in range(LENGTH + 5):
        answer = plc.client.write_register(address, 1)
        assert answer.isError() == (address > 1), address
    assert plc.client.write_registers(1, [1, 1]).isError()
    assert plc.client.read_input_registers(LENGTH - 1, count=2).isError()
    assert plc.read()["map_version"] == 1
    assert plc.client.read_holding_registers(10, count=1).registers == [1]


def test_rubbish_disturbs_nobody_else(scene: Scene, plc: Plc) -> None:
    random.seed(1)
    port = plc.client.comm_params.port
    scene.inspect(10)
    for index in range(40):
        with socket.create_connection(("127.0.0.1", port)) as peer:
            body = random.randbytes(random.randint(1, 300))
            framed = struct.pack(">HHHB", index, 0, len(body) + 1, 1) + body
            peer.sendall(framed if index % 2 else body)
        plc.cycle()
    while len(plc.taken) < 10:
        plc.cycle()
    assert plc.ids() == list(range(10))
    assert scene.weakness("modbus") == ""


def test_no_more_peers_than_there_is_room_for(scene: Scene, plc: Plc) -> None:
    port = plc.client.comm_params.port
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(MOST_PEERS + 4)]
    assert plc.read()["map_version"] == 1
    for one in silent[MOST_PEERS:]:
        one.settimeout(5)
        with pytest.raises(ConnectionResetError):
            assert one.recv(1) == b""
            raise ConnectionResetError
    for one in silent:
        one.close()
    other = Plc(port)
    until(lambda: other.client.connect() and not other.client.read_input_registers(10, count=1).isError())
    other.close()


def test_who_is_not_named_is_not_let_in(scene: Scene) -> None:
    port = free_port()
    scene.start(config(port, allow=("10.0.0.7",)))
    with until(lambda: _connected(port)) as peer:
        peer.settimeout(5)
        with pytest.raises(ConnectionResetError):
            assert peer.recv(1) == b""
            raise ConnectionResetError


def test_a_port_that_is_taken_is_told(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        scene.start(config(taken.getsockname()[1]))
        until(lambda: "cannot serve Modbus there" in scene.weakness("modbus"))


def _connected(port: int) -> socket.socket | None:
    try:
        return socket.create_connection(("127.0.0.1", port))
    except OSError:
        return None
