"""The program itself with its plant beside it: a PLC triggers parts and takes results, a broker is away, the plant is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import cv2

from edge.clock import SystemClock
from edge.errors import NotRunningError
from edge.live.live_reader import LiveReader
from edge.live.live_status import LiveStatus
from edge.plant.outbox import KILLED
from edge.plant.register_map import STATES
from tests.edge.plant.peers import Mosquitto, free_port, needs_mosquitto
from tests.edge.plant.test_modbus import Plc
from tests.edge.plant.test_mqtt import Listener, once
from tests.tiny_bundle import part_image
from tests.until import until

STATION = """
trigger: {kind: software}
timing: {deadline_ms: 2000, reject_delay_ms: 2100}
reject_pulse_ms: 50
"""


class Inspection:
    """edge-inspect over 40 parts, with the plant that ``plant`` says."""

    def __init__(self, bundle: Path, folder: Path, plant: dict[str, object]) -> None:
        self.state = bundle.parent
        self.parts = folder / "parts"
        self.parts.mkdir(exist_ok=True)
        for index in range(40):
            cv2.imwrite(str(self.parts / f"{index:02d}.png"), part_image(index, index % 5 == 4))
        station = folder / "station.yaml"
        station.write_text(STATION + f"plant: {json.dumps(plant)}\n")
        self._command = [
            sys.executable, "-m", "edge.cli", "--camera", f"file://{self.parts}", "--bundle", str(bundle), "--gpio", "recording",
            "--station", str(station), "--verdicts", "-",
        ]  # fmt: skip
        self.verdicts: list[dict[str, object]] = []
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self._reader = LiveReader(self.state, SystemClock())
        until(lambda: self.status() is not None and self.status().state in ("ready", "degraded"))

    def status(self) -> LiveStatus:
        try:
            return self._reader.status()
        except NotRunningError:
            return None  # type: ignore[return-value]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(30)
        self._thread.join(30)
        self._reader.close()

    def plant_pid(self) -> int | None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if b"edge.plant.plant_server" in words and str(self.state).encode() in words:
                return int(path.parent.name)
        return None

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            self.verdicts.extend(record for record in map(json.loads, lines) if "outcome" in record)


def produce(plc: Plc, count: int, first_number: int = 1) -> None:
    """The PLC's program: trigger a part, wait for its result, take it."""
    plc.write("trigger", 0)
    until(lambda: int(plc.read()["flags"]) & 1, "the line does not get ready")
    for number in range(first_number, first_number + count):
        plc.write("trigger", number)
        until(lambda: plc.read()["trigger_taken"] == number, "the trigger was not taken")  # noqa: B023
        until(plc.cycle, "no result came")


def test_a_plc_triggers_and_takes_results_while_a_broker_is_away(calibrated_dir: Path, tmp_path: Path) -> None:
    port = free_port()
    plant = {"modbus": {"port": port}, "mqtt": {"host": "127.0.0.1", "port": free_port()}, "metrics": {"port": free_port()}}
    inspection = Inspection(calibrated_dir, tmp_path, plant)
    plc = Plc(port)
    produce(plc, 3)
    until(lambda: inspection.status().state == "degraded")
    weaknesses = inspection.status().weaknesses
    assert "Connection refused" in weaknesses["plant mqtt"]
    assert {name for name in weaknesses if name.startswith("plant")} == {"plant mqtt"}
    until(lambda: STATES[int(plc.read()["state"])] == "degraded")
    shown = plc.read()
    assert shown["triggers"] == 3
    assert shown["passed_parts"] + shown["rejected_parts"] == 3
    assert shown["settings"] == int(inspection.status().settings[:8], 16)

    pid = inspection.plant_pid()
    assert pid is not None
    assert str(port).encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()  # anybody may read it
    os.kill(pid, signal.SIGKILL)
    until(lambda: "ended with exit code -9" in inspection.status().weaknesses.get("plant", ""))
    assert inspection.status().weaknesses.get("plant mqtt", "") == ""
    plc.close()
    again = Plc(port)
    again.last = plc.last
    produce(again, 2)
    assert plc.ids() + again.ids() == list(range(5))
    again.close()
    inspection.stop()
    assert [verdict["part_id"] for verdict in inspection.verdicts] == list(range(5))
    until(lambda: inspection.plant_pid() is None)


@needs_mosquitto
def test_an_inspection_that_is_killed_goes_on_where_the_plant_was(calibrated_dir: Path, tmp_path: Path) -> None:
    port, broker = free_port(), Mosquitto(tmp_path / "broker")
    listener = Listener(broker.port)
    plant = {"modbus": {"port": port, "acknowledge": False}, "mqtt": {"host": "127.0.0.1", "port": broker.port}}
    inspection = Inspection(calibrated_dir, tmp_path, plant)
    plc = Plc(port)
    produce(plc, 2)
    plc.write("trigger", 3)
    until(lambda: plc.read()["trigger_taken"] == 3)
    until(lambda: len(inspection.verdicts) == 3)
    inspection.stop(signal.SIGKILL)  # the third is in flight
    until(lambda: inspection.plant_pid() is None)
    plc.close()
    until(lambda: listener.states[-1]["state"] == "offline")
    inspection.start()
    again = Plc(port)
    produce(again, 2)
    until(lambda: len(once(listener.messages)) == 5)
    assert once(listener.messages)[:3] == [0, 1, 2]
    assert [part.action for part in listener.messages if part.part_id == 2] == ["unknown"]
    first = once(listener.messages)[3]
    assert once(listener.messages)[3:] == [first, first + 1]
    assert [(part.part_id, part.gap.expected, part.gap.reason) for part in listener.messages if part.gap] == [(first, 3, KILLED)]
    until(lambda: listener.states[-1]["state"] == "running")
    again.close()
    inspection.stop()
    until(lambda: listener.states[-1]["state"] == "offline")
    listener.close()
    broker.stop()
