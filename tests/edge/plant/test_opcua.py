"""asyncua's client: it reads, is told of changes, takes every part from where it is, and may be locked out by its certificate."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from cryptography import x509

from edge.plant.opcua_nodes import LINE, NAMESPACE, RESULT
from edge.plant.plant_config import OpcUaConfig, PlantConfig
from tests.edge.plant.peers import Authority, free_port
from tests.edge.plant.plant_scene import Scene, status
from tests.until import until

Result = TypeVar("Result")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path / "state")
    yield scene
    scene.close()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def started(scene: Scene, **more: Any) -> int:
    port = free_port()
    scene.start(PlantConfig(opcua=OpcUaConfig(port=port, **more)))
    until(lambda: listens(port))
    return port


def asked(port: int, work: Callable[[Client, int], Awaitable[Result]], prepare: Any = None) -> Result:
    async def ask() -> Result:
        client = Client(f"opc.tcp://127.0.0.1:{port}/edge-inspect", timeout=10)
        if prepare is not None:
            await prepare(client)
        async with client:
            return await work(client, await client.get_namespace_index(NAMESPACE))

    return asyncio.run(ask())


async def results(client: Client, index: int, after: str, most: int = 100) -> list[dict[str, Any]]:
    line = client.get_node(f"ns={index};s=Line")
    answer = await line.call_method(f"{index}:Results", after, ua.Variant(most, ua.VariantType.UInt32))
    return [json.loads(one) for one in answer or []]


def test_the_line_and_the_newest_result_are_variables(scene: Scene) -> None:
    scene.answer(status(faults={"camera": "is lost"}))
    scene.inspect(3)
    port = started(scene)

    async def read(client: Client, index: int) -> dict[str, Any]:
        names = [f"Line.{one[0]}" for one in LINE] + [f"Result.{one[0]}" for one in RESULT]
        return {name: await client.get_node(f"ns={index};s={name}").read_value() for name in names}

    found = until(lambda: (one := asked(port, read))["Result.PartId"] == 2 and one["Line.State"] == "running" and one)
    assert (found["Line.Ready"], found["Line.Fault"], found["Line.PassedParts"]) == (True, False, 7)
    assert found["Line.Faults"] == ["camera: is lost"]
    assert (found["Result.Outcome"], found["Result.Score"], found["Result.Reason"]) == ("REJECT", 0.5, "score 2.5")
    assert json.loads(found["Result.Json"])["key"] == found["Result.Key"]
    scene.silence()
    until(lambda: asked(port, read)["Line.State"] == "offline")


def test_a_line_that_cannot_be_shown_is_told_and_shown_no_longer(scene: Scene) -> None:
    scene.answer(status())
    port = started(scene)
    scene.answer(status(state="dancing"))
    until(lambda: "dancing" in scene.weakness("opcua"))
    scene.answer(status())
    until(lambda: not scene.weakness("opcua"))
    assert asked(port, lambda client, index: results(client, index, "")) == []


def test_a_subscriber_is_told_every_part_in_order(scene: Scene) -> None:
    port = started(scene)
    seen: list[int] = []

    class Handler:
        def datachange_notification(self, _node: Any, value: str, _data: Any) -> None:
            if value:
                seen.append(json.loads(value)["part_id"])

    async def watch(client: Client, index: int) -> None:
        subscription = await client.create_subscription(50, Handler())
        await subscription.subscribe_data_change(client.get_node(f"ns={index};s=Result.Json"), queuesize=1000)
        await asyncio.to_thread(scene.inspect, 150)
        for _ in range(500):
            if len(seen) == 150:
                break
            await asyncio.sleep(0.02)

    asked(port, watch)
    assert seen == list(range(150))
    assert scene.weakness("opcua") == ""


def test_a_client_takes_every_part_once_though_server_and_client_end_in_between(scene: Scene) -> None:
    taken: list[dict[str, Any]] = []
    for _ in range(3):
        port = started(scene)
        scene.inspect(70)

        async def take(client: Client, index: int) -> None:
            for _ in range(3):
                taken.extend(await results(client, index, taken[-1]["key"] if taken else "", 20))

        asked(port, take)
        scene.stop()
    assert [part["part_id"] for part in taken] == list(range(180))
    assert all(part["gap"] is None for part in taken)


def test_a_key_that_is_none_is_refused_and_nothing_can_be_written(scene: Scene) -> None:
    port = started(scene)
    for after in ("rubbish", "a-b-c", "1-2", "a1-99999999999999999999-1", "a1-9999999999999999999-1", "\0--"):
        with pytest.raises(ua.UaStatusCodeError, match="BadInvalidArgument"):
            asked(port, partial(results, after=after))

    async def write(client: Client, index: int) -> None:
        await client.get_node(f"ns={index};s=Result.Outcome").write_value("PASS")

    with pytest.raises(ua.UaStatusCodeError, match="BadUserAccessDenied"):
        asked(port, write)


def test_rubbish_and_half_open_peers_disturb_nobody_else(scene: Scene) -> None:
    scene.inspect(1)
    port = started(scene)
    for content in (b"", b"GET / HTTP/1.1\r\n\r\n", b"HELF\xff\xff\xff\xff" * 10, b"OPNF" + bytes(60)):
        peer = socket.create_connection(("127.0.0.1", port))
        peer.sendall(content)
        assert len(asked(port, lambda client, index: results(client, index, ""))) == 1
        peer.close()
    assert scene.weakness("opcua") == ""


def test_only_clients_with_a_trusted_certificate_are_let_in(scene: Scene, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.issue("server", x509.UniformResourceIdentifier("urn:edge-inspect:test"))
    authority.issue("client", x509.UniformResourceIdentifier("urn:client"))
    other = Authority(tmp_path / "other")
    other.issue("client", x509.UniformResourceIdentifier("urn:client"))
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    (trusted / "ca.pem").write_bytes(authority.certificate.read_bytes())
    scene.inspect(2)
    port = started(
        scene, security="sign_and_encrypt", certificate_file=tmp_path / "server.pem", key_file=tmp_path / "server.key",
        trusted_folder=trusted,
    )  # fmt: skip

    def secured(folder: Path) -> Callable[[Client], Awaitable[None]]:
        async def prepare(client: Client) -> None:
            client.application_uri = "urn:client"
            key = (folder / "client.key").rename(folder / "client_key.pem")  # asyncua goes by the name
            await client.set_security(
                SecurityPolicyBasic256Sha256, str(folder / "client.pem"), str(key),
                server_certificate=str(tmp_path / "server.pem"),
            )  # fmt: skip

        return prepare

    async def take(client: Client, index: int) -> list[dict[str, Any]]:
        return await results(client, index, "")

    assert len(asked(port, take, secured(tmp_path))) == 2
    with pytest.raises(ua.UaError):
        asked(port, take, secured(tmp_path / "other"))
    with pytest.raises(ua.UaError):
        asked(port, take)


def test_certificates_that_cannot_be_used_and_a_port_that_is_taken_are_told(scene: Scene, tmp_path: Path) -> None:
    for name in ("server.pem", "server.key"):
        (tmp_path / name).write_bytes(b"rubbish")
    config = OpcUaConfig(
        port=free_port(), security="sign", certificate_file=tmp_path / "server.pem", key_file=tmp_path / "server.key",
        trusted_folder=tmp_path,
    )  # fmt: skip
    scene.start(PlantConfig(opcua=config))
    until(lambda: "cannot use the certificates" in scene.weakness("opcua"))
    scene.stop()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        scene.start(PlantConfig(opcua=OpcUaConfig(port=taken.getsockname()[1])))
        until(lambda: "cannot serve OPC UA there" in scene.weakness("opcua"))
