"""Parts and state at a real broker: stopped, killed, started again, refusing; nothing is lost, and all comes in order."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from edge.plant import mqtt_client
from edge.plant.part_result import PartResult
from edge.plant.plant_config import CONFIG, MqttConfig, PlantConfig
from tests.edge.plant.peers import Amqtt, Authority, Mosquitto, free_port, needs_mosquitto
from tests.edge.plant.plant_scene import Scene, status
from tests.until import until


class Listener:
    """An MES: a persistent session, so that the broker keeps for it what comes while it is away."""

    def __init__(
        self, port: int, base: str = "edge-inspect/line", username: str | None = None, password: str | None = None
    ) -> None:
        self.messages: list[PartResult] = []
        self.states: list[dict[str, Any]] = []
        self._base = base
        self.client = Client(CallbackAPIVersion.VERSION2, client_id="mes", clean_session=False)
        self.client.reconnect_delay_set(1, 1)
        if username is not None:
            self.client.username_pw_set(username, password)
        self._subscribed = threading.Event()
        self.client.on_connect = lambda client, *_: client.subscribe(f"{base}/#", 1)
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.on_message = self._on_message
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self._subscribed.wait(10)

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        if message.topic == f"{self._base}/part":
            self.messages.append(PartResult.model_validate_json(message.payload))
        else:
            assert message.topic == f"{self._base}/state"
            self.states.append(json.loads(message.payload) | {"retained": message.retain})

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path / "state")
    yield scene
    scene.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path / "broker")
    yield broker
    broker.stop()


def config(port: int, **more: Any) -> PlantConfig:
    return PlantConfig(mqtt=MqttConfig(host="127.0.0.1", port=port, **more))


def once(messages: list[PartResult]) -> list[int]:
    """Part ids in the order in which they came first; at least once is what QoS 1 gives."""
    return [part.part_id for part in dict.fromkeys(part.place for part in messages)]


@needs_mosquitto
def test_every_part_comes_in_order_and_the_state_is_retained(scene: Scene, broker: Mosquitto) -> None:
    listener = Listener(broker.port)
    scene.inspect(5)
    scene.start(config(broker.port))
    scene.inspect(200)
    until(lambda: len(listener.messages) >= 205)
    assert [part.part_id for part in listener.messages] == list(range(205))
    assert all(part.gap is None for part in listener.messages)
    assert listener.messages[2].outcome == "REJECT"
    assert listener.states[0]["state"] == "offline"  # no inspection runs beside
    late = Listener(broker.port)
    until(lambda: late.states)
    assert late.states[0]["retained"]
    late.close()
    listener.close()


@needs_mosquitto
def test_a_broker_that_is_stopped_under_load_loses_nothing(scene: Scene, broker: Mosquitto) -> None:
    listener = Listener(broker.port)
    scene.start(config(broker.port))
    for _ in range(4):
        scene.inspect(250)
        broker.stop()
        until(lambda: scene.weakness("mqtt"))
        scene.inspect(150)
        broker.start()
        until(lambda: not scene.weakness("mqtt"))
    until(lambda: len(once(listener.messages)) == 1600)
    assert once(listener.messages) == list(range(1600))
    assert [part.gap for part in listener.messages if part.gap] == []
    words = [one for one in scene.said if one.startswith("plant mqtt")]
    assert len(words) == 8  # one for each outage, and one for its end
    listener.close()


@needs_mosquitto
def test_a_plant_that_ends_in_between_goes_on_where_it_was(scene: Scene, broker: Mosquitto) -> None:
    listener = Listener(broker.port)
    for _ in range(3):
        scene.start(config(broker.port))
        scene.inspect(100)
        scene.stop()
        scene.inspect(10)
    scene.start(config(broker.port))
    until(lambda: len(once(listener.messages)) == 330)
    assert once(listener.messages) == list(range(330))
    listener.close()


@needs_mosquitto
def test_a_broker_that_refuses_a_message_has_not_got_it(scene: Scene, tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite edge-inspect/line/state\n")
    broker = Mosquitto(tmp_path / "broker", f"allow_anonymous true\nacl_file {acl}\n")
    scene.inspect(3)
    scene.start(config(broker.port))
    # mosquitto 2.0 ends the connection behind a refusal, and with more on its way the kernel may take the refusal back.
    until(lambda: re.search("Not authorized|connection is lost", scene.weakness("mqtt")), lambda: scene.told)
    assert scene.weakness("mqtt").count("\n") == 0
    broker.stop()
    acl.write_text("topic readwrite edge-inspect/line/#\n")
    broker.start()
    listener = Listener(broker.port)
    until(lambda: len(listener.messages) == 3)
    listener.close()
    broker.stop()


@needs_mosquitto
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_plant_that_ends_says_so_and_one_that_is_killed_leaves_its_last_will(
    scene: Scene, broker: Mosquitto, how: signal.Signals
) -> None:
    scene.answer(status())
    listener = Listener(broker.port)
    command = [sys.executable, "-m", "edge.plant.plant_server", str(scene.state), "0"]
    environment = os.environ | {CONFIG: config(broker.port).model_dump_json()}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as process:
        scene.inspect(2)
        until(lambda: len(listener.messages) == 2 and listener.states[-1]["state"] == "running")
        process.send_signal(how)
        until(lambda: listener.states[-1]["state"] == "offline")
        assert process.wait(10) == (0 if how is signal.SIGTERM else -signal.SIGKILL)
    listener.close()


@needs_mosquitto
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho leaves a refused socket to the collector
def test_tls_with_a_password_from_a_file(scene: Scene, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.issue("server")
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(tmp_path / "passwords"), "line", "secret"], check=True)
    broker = Mosquitto(
        tmp_path / "broker",
        f"cafile {authority.certificate}\ncertfile {tmp_path}/server.pem\nkeyfile {tmp_path}/server.key\n"
        f"allow_anonymous false\npassword_file {tmp_path}/passwords\n",
    )
    (tmp_path / "password").write_text("wrong\n")
    wanted = {"tls": True, "ca_file": authority.certificate, "username": "line", "password_file": tmp_path / "password"}
    scene.inspect(1)
    scene.start(config(broker.port, **wanted))
    until(lambda: "refuses the connection: " in scene.weakness("mqtt"))
    (tmp_path / "password").write_text("secret\n")
    until(lambda: not scene.weakness("mqtt"))
    scene.stop()
    scene.start(config(broker.port, **wanted | {"ca_file": None}))
    until(lambda: "certificate" in scene.weakness("mqtt"))
    broker.stop()


def test_another_broker_of_mqtt_3_1_1_that_is_stopped(scene: Scene) -> None:
    broker = Amqtt()
    scene.inspect(20)
    scene.start(config(broker.port, version="3.1.1"))
    until(lambda: scene.waiting("mqtt") == 0)
    listener = Listener(broker.port)
    until(lambda: listener.states)
    scene.inspect(100)
    until(lambda: len(listener.messages) == 100)
    listener.close()
    broker.stop()
    until(lambda: scene.weakness("mqtt"))
    scene.inspect(30)
    assert scene.waiting("mqtt") == 30
    broker.start()
    until(lambda: scene.waiting("mqtt") == 0)
    assert once(listener.messages) == list(range(20, 120))
    broker.stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_peer_that_says_nothing_or_rubbish_is_told_and_tried_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_client, "ANSWER_S", 0.5)
    scene.inspect(1)
    talks = threading.Event()

    def serve(silent: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = silent.accept()
                with connection, suppress(OSError):
                    connection.recv(1000)
                    if talks.is_set():
                        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
                    while connection.recv(1000):
                        pass

    with socket.create_server(("127.0.0.1", 0)) as silent:
        threading.Thread(target=serve, args=(silent,), daemon=True).start()
        scene.start(config(silent.getsockname()[1]))
        until(lambda: "does not answer" in scene.weakness("mqtt"))
        talks.set()
        until(lambda: "lost" in scene.weakness("mqtt"))
        silent.shutdown(socket.SHUT_RDWR)
    scene.stop()
    scene.start(config(free_port()))
    until(lambda: "Connection refused" in scene.weakness("mqtt"))


def test_a_password_that_cannot_be_read_is_told(scene: Scene, tmp_path: Path) -> None:
    scene.start(config(free_port(), username="line", password_file=tmp_path / "none"))
    until(lambda: "cannot read the secret there: No such file" in scene.weakness("mqtt"))
