"""A whole edge-inspect with its operator page over a calibrated bundle and a folder of pictures, for pictures and measurements."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from edge.clock import SystemClock
from edge.errors import ConfigError, NotRunningError
from edge.live.live_reader import LiveReader
from edge.page.accounts import AccountFile, Accounts
from edge.page.roles import Role
from edge.records.part_records import FILE, FOLDER
from edge.records.record_query import RecordQuery
from edge.slots.calibration_slot import SlotStore
from edge.triggers.software import SOCKET, TriggerSender

NAME, PASSWORD = "yuki", "only for this one run"
START_S = 120.0
SETTLED_S = 1.0
STATION = """
lines: {{backend: recording}}
trigger: {{kind: software}}
timing: {{deadline_ms: {deadline}, reject_delay_ms: {delay}}}
reject_pulse_ms: 20
page: {{shifts: ["00:00"]}}
"""


@dataclass
class PageRun:
    """Parts are sent by ``trigger``; ``cookie`` is of somebody who is logged in as an engineer."""

    state: Path
    port: int
    cookie: str = ""
    pid: int = 0

    def inspection_cpu_ms(self) -> float:
        """CPU time that edge-inspect itself took so far, without its companions; other load on the machine changes it little."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")

    @property
    def address(self) -> str:
        """Of the page."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: str | None = None) -> tuple[int, http.client.HTTPMessage, bytes]:
        """(status, headers, content)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Origin": self.address, "Cookie": self.cookie, "Content-Type": "application/x-www-form-urlencoded"}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def trigger(self, count: int, every_s: float) -> None:
        """Send parts, one after the other."""
        sender = TriggerSender(self.state / SOCKET)
        try:
            for _ in range(count):
                began = time.monotonic()
                sender.send()
                time.sleep(max(0.0, every_s - (time.monotonic() - began)))
        finally:
            sender.close()

    def query(self) -> RecordQuery:
        """What became of the parts."""
        return RecordQuery(self.state / FOLDER / FILE)

    def settle(self) -> int:
        """Wait until all parts are recorded to the end; the number of the newest, −1 where there is none."""
        end, before = time.monotonic() + START_S, None
        while True:
            shift = self.query().shift(0, 2**62)
            now = shift.last_part_id, shift.actions
            if now == before and "in flight" not in shift.actions:
                return -1 if shift.last_part_id is None else shift.last_part_id
            if time.monotonic() > end:
                raise ConfigError(f"expected every part to leave the arm, there are {json.dumps(shift.actions)}")
            before = now
            time.sleep(SETTLED_S)


@contextmanager
def page_run(store: SlotStore, images: list[Path], deadline_ms: int) -> Iterator[PageRun]:
    """In a state folder of its own, with the calibrations of ``store``; ends with the block. Raises ConfigError.

    images: what the camera sees, part by part.
    """
    with tempfile.TemporaryDirectory(prefix="page-") as name:
        state = Path(name)
        shutil.copytree(store.folder, state / "calibration" / store.folder.name, symlinks=True)
        line = state / "line"
        line.mkdir()
        for number, image in enumerate(images):
            (line / f"{number:06d}{image.suffix}").symlink_to(image.absolute())
        station = state / "station.yaml"
        station.write_text(STATION.format(deadline=deadline_ms, delay=deadline_ms + 10))
        Accounts(AccountFile(state), SystemClock()).add(NAME, Role.ENGINEER, PASSWORD)
        run = PageRun(state, free_port())
        command = [sys.executable, "-m", "edge.cli", "--bundle", str(store.bundle.path), "--state", str(state)]
        command += ["--station", str(station), "--camera", f"file://{line}", "--http", f":{run.port}"]
        command += ["--verdicts", str(state / "verdicts.jsonl")]
        said = (state / "said.txt").open("wb")
        process = subprocess.Popen(command, stdout=said, stderr=said)
        run.pid = process.pid
        try:
            _wait_until_it_runs(run, process, state / "said.txt")
            status, headers, _ = run.ask("POST", "/login", urlencode({"name": NAME, "password": PASSWORD}))
            if status != 303:
                raise ConfigError(f"expected to be logged in, the page answered {status}")
            run.cookie = str(headers["set-cookie"]).partition(";")[0]
            yield run
        finally:
            process.terminate()
            process.wait()
            said.close()


def _wait_until_it_runs(run: PageRun, process: subprocess.Popen[bytes], said: Path) -> None:
    reader, end = LiveReader(run.state, SystemClock()), time.monotonic() + START_S
    try:
        while True:
            if process.poll() is not None or time.monotonic() > end:
                raise ConfigError(f"edge-inspect did not start: {said.read_text(errors='replace')[-500:]}")
            try:
                if reader.status().state in ("ready", "running", "degraded") and run.ask("GET", "/login")[0] == 200:
                    return
            except (NotRunningError, OSError):
                pass
            time.sleep(0.1)
    finally:
        reader.close()


def free_port() -> int:
    """One of this machine that nobody listens at now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
