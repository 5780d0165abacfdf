"""The page's own process: over TLS, where its port is taken, and what its documentation says of its settings."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("uvicorn")

from rich.console import Console

from edge.page import page_server
from edge.page.page_config import PageConfig
from edge.station_config import StationConfig
from edge.storage.strict_yaml import load_yaml_text, parse
from tests.edge.page.running_line import free_port
from tests.until import until

DOCUMENT = Path(__file__).parents[3] / "docs" / "page.md"


def command(bundle: Path, port: int, *further: str) -> list[str]:
    return [sys.executable, "-m", "edge.page.page_cli", "serve", "--bundle", str(bundle), "--http", f":{port}", *further]


@contextmanager
def serving(bundle: Path, port: int, *further: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command(bundle, port, *further), stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)
        assert process.stderr is not None
        process.stderr.close()


def first_line(context: ssl.SSLContext, port: int) -> bytes:
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as raw,
            context.wrap_socket(raw, server_hostname="localhost") as one,
        ):
            one.sendall(b"GET /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return one.recv(4096).split(b"\r\n")[0]
    except ConnectionRefusedError:
        return b""


def test_over_tls_with_a_certificate_of_its_own(two_slots_dir: Path, tmp_path: Path) -> None:
    station, port = tmp_path / "station.yaml", free_port()
    station.write_text("page: {tls: 'on'}\n")
    with serving(two_slots_dir, port, "--station", str(station)) as process:
        certificate = two_slots_dir.parent / "page" / "certificate.pem"
        until(certificate.is_file)
        context = ssl.create_default_context(cafile=str(certificate))
        until(lambda: first_line(context, port) == b"HTTP/1.1 200 OK")
        with pytest.raises(ssl.SSLError):
            first_line(ssl.create_default_context(), port)
        assert process.stderr is not None
        said = [process.stderr.readline() for _ in range(3)]
    assert re.search(r"the certificate's SHA-256 is ([0-9A-F]{2}:){31}[0-9A-F]{2}$", said[0])
    assert "nobody has an account" in said[1]
    assert said[2] == f"page: https://127.0.0.1:{port}\n"


def test_a_fingerprint_is_said_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    page_server._say(Console(stderr=True), "9F:AB:E2")
    assert capsys.readouterr().err == "9F:AB:E2\n"


def test_a_port_that_is_taken_and_one_that_nobody_named(two_slots_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = subprocess.run(command(two_slots_dir, port), capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert f"cannot serve at 127.0.0.1:{port}; is another program there?" in result.stderr
    without = subprocess.run(command(two_slots_dir, 1)[:-2], capture_output=True, text=True, check=False)
    assert without.returncode == 2
    assert "nobody said where to serve the page" in without.stderr


def test_the_documented_settings_are_all_there_are_and_valid() -> None:
    text = re.search(r"```yaml\n(page:.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert text is not None
    content = load_yaml_text(text[1], "page.md")
    parse(StationConfig, content, "page.md")
    assert set(content["page"]) == set(PageConfig.model_fields)
