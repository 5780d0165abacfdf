"""Connections that keep the server waiting, over real sockets: they end, and others are served meanwhile."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

uvicorn = pytest.importorskip("uvicorn")

from edge.page.web import guard, patient_protocol
from edge.page.web.patient_protocol import PatientProtocol
from tests.edge.page.conftest import Page

SOON_S = 10.0


@pytest.fixture
def address(page: Page, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """Of a real server with short limits; ``/flood`` is an answer of many megabytes."""
    monkeypatch.setattr(patient_protocol, "TICK_S", 0.05)
    monkeypatch.setattr(patient_protocol, "REQUEST_S", 0.5)
    monkeypatch.setattr(patient_protocol, "SEND_S", 0.5)
    monkeypatch.setattr(guard, "BODY_S", 0.5)
    listener = socket.create_server(("127.0.0.1", 0))
    floods = []

    @page.app.get("/flood")
    async def flood() -> object:
        from fastapi.responses import StreamingResponse

        async def content() -> object:
            floods.append("begun")
            try:
                for _ in range(1000):
                    yield bytes(65_536)
            finally:
                floods.append("ended")

        return StreamingResponse(content())  # type: ignore[arg-type]

    page.app.state.floods = floods
    config = uvicorn.Config(page.app, http=PatientProtocol, ws="none", log_level="critical", lifespan="on", limit_concurrency=50)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    yield listener.getsockname()
    server.should_exit = True
    thread.join(SOON_S)
    listener.close()


def ended(connection: socket.socket) -> bytes:
    """All that came until the server ended the connection."""
    connection.settimeout(SOON_S)
    content = b""
    try:
        while more := connection.recv(65_536):
            content += more
    except ConnectionResetError:
        pass
    return content


def serves(address: tuple[str, int]) -> bool:
    with socket.create_connection(address) as connection:
        connection.sendall(b"GET /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return ended(connection).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_a_request_that_does_not_come(address: tuple[str, int], said: bytes) -> None:
    with socket.create_connection(address) as connection:
        connection.sendall(said)
        assert serves(address)
        assert ended(connection) == b""


def test_a_request_that_drips_in(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as connection:
        end = time.monotonic() + SOON_S
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            connection.sendall(b"GET / HTTP/1.1\r\nX: ")
            while time.monotonic() < end:
                connection.sendall(b"a")
                threading.Event().wait(0.02)
    assert time.monotonic() < end


def test_a_body_that_does_not_come(address: tuple[str, int]) -> None:
    head = b"POST /login HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nContent-Length: 50\r\n"
    with socket.create_connection(address) as connection:
        connection.sendall(head + b"Content-Type: application/x-www-form-urlencoded\r\n\r\nname=")
        assert ended(connection).startswith(b"HTTP/1.1 408")


def test_an_answer_that_nobody_takes(address: tuple[str, int], page: Page) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(address)
        connection.sendall(b"GET /flood HTTP/1.1\r\nHost: localhost\r\n\r\n")
        end = time.monotonic() + SOON_S
        while page.app.state.floods != ["begun", "ended"]:
            assert time.monotonic() < end
            threading.Event().wait(0.02)
        assert serves(address)


def test_a_head_without_end_is_refused(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        try:
            for number in range(4000):
                connection.sendall(f"X-{number}: {'a' * 60}\r\n".encode())
        except OSError:
            pass
        assert not ended(connection).startswith(b"HTTP/1.1 2")
    assert serves(address)


def test_so_many_idle_connections_are_let_go(address: tuple[str, int]) -> None:
    idle = [socket.create_connection(address) for _ in range(60)]
    for one in idle:
        ended(one)
        one.close()
    assert serves(address)
