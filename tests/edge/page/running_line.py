"""A running edge-inspect with its page, the real programs; parts are triggered by hand."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import cv2

from edge.clock import SystemClock
from edge.page.accounts import AccountFile, Accounts
from edge.page.roles import Role
from edge.records.part_records import FILE, FOLDER
from edge.records.record_query import RecordQuery
from tests.tiny_bundle import part_image
from tests.until import until

PASSWORD = "parts-go-by-42"
STATION = """
trigger: {kind: software}
timing: {deadline_ms: 2000, reject_delay_ms: 2100}
lines: {backend: recording}
reject_pulse_ms: 20
page: {shifts: ["00:00"]}
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@dataclass
class Line:
    """A running inspection with its page."""

    process: subprocess.Popen[bytes]
    port: int
    state: Path
    bundle: Path
    cookie: str = ""
    streams: list[http.client.HTTPResponse] = field(default_factory=list)
    connections: list[http.client.HTTPConnection] = field(default_factory=list)

    def ask(self, method: str, path: str, body: str = "", timeout: float = 10) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        self.connections.append(connection)
        headers = {"Origin": f"http://127.0.0.1:{self.port}", "Cookie": self.cookie}
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        if answer.getheader("content-type", "").startswith("text/event-stream"):
            self.streams.append(answer)
        return answer

    def answers(self) -> bool:
        try:
            return self.ask("GET", "/login").status in (200, 303)
        except OSError:
            return False

    def log_in(self) -> None:
        answer = self.ask("POST", "/login", urlencode({"name": "op", "password": PASSWORD}))
        assert answer.status == 303
        self.cookie = answer.getheader("set-cookie", "").partition(";")[0]

    def trigger(self, count: int, every_ms: int = 80) -> None:
        command = [sys.executable, "-m", "edge.cli", "trigger", "--bundle", str(self.bundle)]
        subprocess.run([*command, "--count", str(count), "--every-ms", str(every_ms)], check=True)

    def parts(self) -> int:
        return RecordQuery(self.state / FOLDER / FILE).shift(0, 2**62).parts


@contextmanager
def running_line(bundle: Path, scratch: Path, role: Role = Role.OPERATOR) -> Iterator[Line]:
    """Made parts are before its camera, each seventh with a defect; ``op`` is logged in as ``role``."""
    folder = scratch / "parts"
    folder.mkdir()
    for index in range(60):
        cv2.imwrite(str(folder / f"{index:02d}.png"), part_image(index, defect=index % 7 == 3))
    station = scratch / "station.yaml"
    station.write_text(STATION)
    Accounts(AccountFile(bundle.parent), SystemClock()).add("op", role, PASSWORD)
    port = free_port()
    command = [sys.executable, "-m", "edge.cli", "--camera", f"file://{folder}", "--bundle", str(bundle)]
    command += ["--station", str(station), "--http", f":{port}", "--verdicts", str(scratch / "verdicts.jsonl")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    one = Line(process, port, bundle.parent, bundle)
    try:
        until(one.answers)
        one.log_in()
        yield one
    finally:
        for opened in (*one.streams, *one.connections):
            opened.close()
        process.terminate()
        process.communicate(timeout=30)
