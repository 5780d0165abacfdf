"""What a plant soak puts at the other end: a broker and its client, a PLC, an OPC UA client, an HTTP server; each is away at times.

A process of its own: ``python -m tools.benchmark.plant_peers FOLDER STATE PARTS FIRST PORTS OUTAGES``. It writes FOLDER/peers.json
when all have every part, or when told to stop.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from edge.plant.opcua_nodes import NAMESPACE
from edge.plant.plant_config import MetricsConfig, ModbusConfig, MqttConfig, OpcUaConfig, PlantConfig, WebhookConfig
from edge.plant.register_map import BY_NAME, LENGTH, decode
from edge.storage.durable_files import write_file
from edge.supervision.stop_signals import StopSignals

REPORT = "peers.json"
PROTOCOLS = ("mqtt", "modbus", "opcua", "webhook")
AWAY_S, EVERY_S = 3.0, 9.0
"""How long a peer is away, and how long until the next one is."""
STEP_S = 0.01


def broker_command() -> str | None:
    """Debian's mosquitto, where it is installed."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def plant_config(ports: list[int]) -> PlantConfig:
    """All protocols, at ``ports``."""
    mqtt, modbus, opcua, webhook, metrics = ports
    return PlantConfig(
        mqtt=MqttConfig(host="127.0.0.1", port=mqtt), modbus=ModbusConfig(port=modbus), opcua=OpcUaConfig(port=opcua),
        webhook=WebhookConfig(url=f"http://127.0.0.1:{webhook}/part"), metrics=MetricsConfig(port=metrics),
    )  # fmt: skip


class Heard:
    """What one peer was told. ``again``: parts that came once more; ``disorder``: first comings that did not follow the last."""

    def __init__(self, parts: int, first: int) -> None:
        self._seen, self._first, self._last = np.zeros(parts, bool), first, first - 1
        self.again = self.disorder = self.gaps = self.strangers = 0

    def take(self, part_id: int, gap: bool) -> None:
        """A part came."""
        index = part_id - self._first
        if not 0 <= index < len(self._seen):
            self.strangers += 1
        elif self._seen[index]:
            self.again += 1
        else:
            self.gaps += gap
            self.disorder += part_id != self._last + 1
            self._seen[index], self._last = True, part_id

    @property
    def count(self) -> int:
        """Different parts."""
        return int(self._seen.sum())

    def to_json(self) -> dict[str, int]:
        """Plain values."""
        found = {"parts": self.count, "again": self.again, "out of order": self.disorder}
        return found | {"gaps": self.gaps, "strangers": self.strangers}


class Peer(ABC):
    """A thread; ``away`` while nobody is there."""

    def __init__(self, name: str, heard: Heard) -> None:
        self.name, self.heard = name, heard
        self.away, self.stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self.stop.is_set():
            if self.away.is_set():
                self.stop.wait(STEP_S)
                continue
            with suppress(Exception):  # whatever it is, it comes again
                self.serve()
            self.stop.wait(10 * STEP_S)

    @abstractmethod
    def serve(self) -> None:
        """Until ``away`` or ``stop``."""

    @property
    def here(self) -> bool:
        """Go on."""
        return not (self.away.is_set() or self.stop.is_set())


class BrokerPeer(Peer):
    """mosquitto, and a client of it with a session that outlives both."""

    def __init__(self, heard: Heard, port: int, folder: Path) -> None:
        self._port, self._file = port, folder / "mosquitto.conf"
        self._file.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\nuser root\n"
            "max_queued_messages 0\n"
        )
        super().__init__("mqtt", heard)

    def serve(self) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        command = broker_command()
        assert command is not None
        with subprocess.Popen([command, "-c", str(self._file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as broker:
            client = Client(CallbackAPIVersion.VERSION2, client_id="mes", clean_session=False)
            client.on_connect = lambda one, *_: one.subscribe("edge-inspect/line/part", 1)
            client.on_message = lambda _client, _data, message: self._take(message.payload)
            try:
                _again(lambda: client.connect("127.0.0.1", self._port), lambda: self.here)
                client.loop_start()
                while self.here:
                    self.stop.wait(STEP_S)
            finally:
                broker.terminate()  # under load: what it has acknowledged, it keeps
                client.disconnect()
                client.loop_stop()

    def _take(self, payload: bytes | bytearray) -> None:
        part = json.loads(payload)
        self.heard.take(part["part_id"], part["gap"] is not None)


class PlcPeer(Peer):
    """Takes what is shown, and writes its acknowledgement in every cycle."""

    def __init__(self, heard: Heard, port: int) -> None:
        self._port, self._last = port, 0
        super().__init__("modbus", heard)

    def serve(self) -> None:
        from pymodbus.client import ModbusTcpClient

        client = ModbusTcpClient("127.0.0.1", port=self._port, timeout=2, retries=0)
        try:
            client.connect()  # type: ignore[no-untyped-call]
            while self.here:
                shown = decode(list(client.read_input_registers(0, count=LENGTH).registers))
                assert shown["sequence"] == shown["sequence_again"]
                new = shown["sequence"] not in (0, self._last)
                if new:
                    self._last = int(shown["sequence"])
                    self.heard.take(int(shown["part_id"]), shown["missing"] > 0)
                client.write_register(BY_NAME["acknowledge"].address, self._last)
                if not new:
                    self.stop.wait(STEP_S)
        finally:
            client.close()  # type: ignore[no-untyped-call]


class OpcUaPeer(Peer):
    """Asks for what came after the last it has."""

    def __init__(self, heard: Heard, port: int) -> None:
        self._url, self._key = f"opc.tcp://127.0.0.1:{port}/edge-inspect", ""
        super().__init__("opcua", heard)

    def serve(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        from asyncua import ua
        from asyncua.client.client import Client

        async with Client(self._url, timeout=5) as client:
            index = await client.get_namespace_index(NAMESPACE)
            line = client.get_node(f"ns={index};s=Line")
            while self.here:
                answer = await line.call_method(f"{index}:Results", self._key, ua.Variant(100, ua.VariantType.UInt32))
                for text in answer or []:
                    part = json.loads(text)
                    self.heard.take(part["part_id"], part["gap"] is not None)
                    self._key = part["key"]
                await asyncio.sleep(0.1)


class WebhookPeer(Peer):
    """Takes parts; while it is away it answers 503 every other time, and else breaks off."""

    def __init__(self, heard: Heard, port: int) -> None:
        answers = itertools.cycle((503, 0))
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10

            def do_POST(self) -> None:
                part = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                code = next(answers) if outer.away.is_set() else 204
                if code == 204:
                    outer.heard.take(part["part_id"], part["gap"] is not None)
                if code == 0:
                    self.close_connection = True
                    return
                self.send_response(code)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        super().__init__("webhook", heard)

    def serve(self) -> None:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.stop.wait()
        self._server.shutdown()


def plant_process(state: Path) -> int | None:
    """Of the plant beside an inspection of ``state``."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if b"edge.plant.plant_server" in words and str(state).encode() in words:
                return int(path.parent.name)
    return None


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, kind in (("folder", Path), ("state", Path), ("parts", int), ("first", int), ("ports", str), ("outages", int)):
        parser.add_argument(name, type=kind)
    options = parser.parse_args(arguments)
    os.nice(10)
    for name in ("pymodbus", "asyncua", "paho"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    ports = [int(port) for port in options.ports.split(",")]
    heard = {name: Heard(options.parts, options.first) for name in PROTOCOLS}
    peers: list[Peer] = [
        BrokerPeer(heard["mqtt"], ports[0], options.folder),
        PlcPeer(heard["modbus"], ports[1]),
        OpcUaPeer(heard["opcua"], ports[2]),
        WebhookPeer(heard["webhook"], ports[3]),
    ]
    outages = dict.fromkeys((*PROTOCOLS, "plant killed"), 0)
    turns = itertools.cycle([*peers, None])
    with StopSignals() as signals:
        while not signals.stop.wait(EVERY_S if options.outages else 0.2):
            if all(one.count == options.parts for one in heard.values()):
                break
            if not options.outages:
                continue
            peer = next(turns)
            if peer is None:
                pid = plant_process(options.state)
                if pid is not None:
                    os.kill(pid, signal.SIGKILL)
                    outages["plant killed"] += 1
                continue
            peer.away.set()
            signals.stop.wait(AWAY_S)
            peer.away.clear()
            outages[peer.name] += 1
    for one in peers:
        one.stop.set()
    time.sleep(1.0)
    report = {"heard": {name: one.to_json() for name, one in heard.items()}, "outages": outages}
    write_file(options.folder / REPORT, json.dumps(report).encode())
    return 0


def _again(attempt: Callable[[], object], here: Callable[[], bool]) -> None:
    while True:
        try:
            attempt()
        except OSError:
            if not here():
                raise
            time.sleep(STEP_S)
        else:
            return


if __name__ == "__main__":
    sys.exit(main())
