"""An HTTP server that is away, slow, refuses, or breaks off: every part reaches it once in order, or is told as left out."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edge.plant import keep_running
from edge.plant.plant_config import PlantConfig, WebhookConfig
from edge.plant.webhook import REFUSAL
from tests.edge.plant.peers import Authority, free_port
from tests.edge.plant.plant_scene import Scene
from tests.until import until


class Server:
    """Takes parts; ``answer`` says by which code."""

    def __init__(self, port: int = 0, context: ssl.SSLContext | None = None) -> None:
        self.taken: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Callable[[dict[str, Any]], int] = lambda part: 204
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 5

            def do_POST(self) -> None:
                part = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                code = outer.answer(part)
                if code == 0:  # breaks off
                    self.close_connection = True
                    return
                if 200 <= code < 300:
                    outer.taken.append(part)
                    outer.headers.append(dict(self.headers))
                self.send_response(code)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                pass

        self.http = Quiet(("127.0.0.1", port), Handler)
        self.http.daemon_threads = True
        if context is not None:
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.port = self.http.server_port
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.answer = lambda part: 0  # connections that are kept open
        self.http.shutdown()
        self.http.server_close()

    def ids(self) -> list[int]:
        return [part["part_id"] for part in self.taken]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(keep_running, "FIRST_MS", 10)
    monkeypatch.setattr(keep_running, "LONGEST_MS", 20)
    scene = Scene(tmp_path / "state")
    yield scene
    scene.close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def config(port: int, **more: Any) -> PlantConfig:
    return PlantConfig(webhook=WebhookConfig(url=f"http://127.0.0.1:{port}/parts", **more))


def test_every_part_is_posted_in_order_with_its_key_and_the_token(scene: Scene, server: Server, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc\n")
    scene.inspect(20)
    scene.start(config(server.port, token_file=tmp_path / "token"))
    scene.inspect(20)
    until(lambda: len(server.taken) == 40)
    assert server.ids() == list(range(40))
    assert server.headers[0]["Authorization"] == "Bearer abc"
    assert server.headers[0]["Idempotency-Key"] == server.taken[0]["key"]


def test_a_server_that_is_away_is_tried_again(scene: Scene) -> None:
    port = free_port()
    scene.inspect(10)
    scene.start(config(port))
    until(lambda: "cannot be told" in scene.weakness("webhook"))
    server = Server(port)
    until(lambda: len(server.taken) == 10)
    server.close()
    scene.inspect(10)
    until(lambda: "cannot be told" in scene.weakness("webhook"))
    again = Server(port)
    until(lambda: len(again.taken) == 10)
    assert server.ids() + again.ids() == list(range(20))
    until(lambda: not scene.weakness("webhook"))
    again.close()


def test_what_may_be_a_secret_in_its_address_is_told_nobody(scene: Scene, server: Server) -> None:
    server.answer = lambda part: 403
    scene.inspect(1)
    url = f"http://127.0.0.1:{server.port}/hooks/T00/s3cret?sig=s3cret"
    scene.start(PlantConfig(webhook=WebhookConfig(url=url)))
    until(lambda: f"http://127.0.0.1:{server.port}: answers 403" in scene.weakness("webhook"))
    server.close()
    until(lambda: "cannot be told" in scene.weakness("webhook"))
    assert "s3cret" not in f"{scene.told} {scene.said}"


@pytest.mark.parametrize("code", [0, 301, 401, 404, 408, 429, 500, 503])
def test_an_answer_that_may_be_another_one_later_loses_nothing(scene: Scene, server: Server, code: int) -> None:
    tries: list[int] = []

    def answer(part: dict[str, Any]) -> int:
        tries.append(part["part_id"])
        return code if part["part_id"] % 3 == 0 and tries.count(part["part_id"]) < 8 else 200

    server.answer = answer
    scene.inspect(7)
    scene.start(config(server.port))
    until(lambda: len(server.taken) == 7)
    assert server.ids() == list(range(7))
    assert all(part["gap"] is None for part in server.taken)


def test_what_the_server_has_already_is_told(scene: Scene, server: Server) -> None:
    server.answer = lambda part: 409 if part["part_id"] < 3 else 201
    scene.inspect(5)
    scene.start(config(server.port))
    until(lambda: len(server.taken) == 2)
    assert server.ids() == [3, 4]
    assert server.taken[0]["gap"] is None


def test_a_part_that_is_refused_for_good_is_left_out_and_told(scene: Scene, server: Server) -> None:
    tries: list[int] = []

    def answer(part: dict[str, Any]) -> int:
        tries.append(part["part_id"])
        return 422 if part["part_id"] in (2, 3) else 200

    server.answer = answer
    scene.inspect(6)
    scene.start(config(server.port, attempts=3))
    until(lambda: len(server.taken) == 4)
    assert server.ids() == [0, 1, 4, 5]
    assert tries.count(2) == tries.count(3) == 3
    assert server.taken[2]["gap"] == {"expected": 2, "reason": REFUSAL}
    assert any("answers 422" in one and "to part 2, 3 times: it was left out" in one for one in scene.said)


def test_a_server_that_does_not_answer_is_given_up_in_time(scene: Scene, server: Server) -> None:
    hold = threading.Event()
    server.answer = lambda part: 200 if hold.wait(5) else 500
    scene.inspect(1)
    scene.start(config(server.port, timeout_s=0.2))
    until(lambda: "ReadTimeout" in scene.weakness("webhook"))
    hold.set()
    until(lambda: not scene.weakness("webhook"))


def test_https_is_checked_against_the_certificates_that_are_named(scene: Scene, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.issue("server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    server = Server(0, context)
    scene.inspect(1)
    url = f"https://localhost:{server.port}/parts"
    scene.start(PlantConfig(webhook=WebhookConfig(url=url)))
    until(lambda: "CERTIFICATE_VERIFY_FAILED" in scene.weakness("webhook"))
    scene.stop()
    scene.start(PlantConfig(webhook=WebhookConfig(url=url, ca_file=authority.certificate)))
    until(lambda: len(server.taken) == 1)
    scene.stop()
    scene.start(PlantConfig(webhook=WebhookConfig(url=url, ca_file=tmp_path / "none.pem")))
    until(lambda: "cannot use these certificates" in scene.weakness("webhook"))
    server.close()


@pytest.mark.parametrize("url", ["ftp://mes", "http://", "http://line:secret@mes/parts", "http://mes:99999/parts", "http://[mes"])
def test_an_address_that_is_none_is_refused_with_the_station_file(url: str) -> None:
    with pytest.raises(ValidationError, match="url"):
        WebhookConfig(url=url)
