"""What every request passes first: host, origin and size are checked, and every answer forbids what the page never does."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable, MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BODY_BYTES = 65_536
"""No form of the page is larger, and nothing is uploaded."""
BODY_S = 15.0
SAFE_METHODS = ("GET", "HEAD")
KNOWN_METHODS = (*SAFE_METHODS, "POST")
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """ASGI middleware, the outermost. host_names: further ones that the page is reached by.

    A host by its number or a name of this machine is taken; another name could be a site that points its own name here.
    """

    def __init__(self, app: ASGIApp, host_names: Iterable[str]) -> None:
        self._app = app
        own = socket.gethostname().lower()
        self._names = {"localhost", own, own.partition(".")[0], f"{own.partition('.')[0]}.local", *(n.lower() for n in host_names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # start and end of the server; there are no websockets
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if refusal := self._refusal(scope, headers):
            await _answer(send, *refusal)
            return
        limited = _Limited(receive)

        async def guarded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                if limited.refusal is not None:  # whatever was made of it inside
                    raise _RefusedError
                _add_headers(message)
            await send(message)

        try:
            await self._app(scope, limited.receive, guarded_send)
        except _RefusedError:
            assert limited.refusal is not None
            await _answer(send, *limited.refusal)

    def _refusal(self, scope: Scope, headers: MutableMapping[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not self._known(host):
            return 421, "this page is not reached by that name; add it to page: host_names: in the station file"
        method = scope["method"]
        if method not in KNOWN_METHODS:
            return 405, "method not allowed"
        if method in SAFE_METHODS:
            return None
        if headers.get("origin", "").partition("://")[2] != host or headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return 403, "this was not asked for by the page itself"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MOST_BODY_BYTES:
            return 413, f"more than {MOST_BODY_BYTES} bytes"
        return None

    def _known(self, host: str) -> bool:
        name = host.lower().rpartition(":")[0] if host.rpartition(":")[2].isdecimal() and not host.endswith("]") else host.lower()
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True


class _RefusedError(Exception):
    """The body is larger than any form, or did not come in time."""


class _Limited:
    """A body that must be small, and come in time."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._bytes, self._whole = receive, 0, False
        self.refusal: tuple[int, str] | None = None

    async def receive(self) -> Message:
        if self._whole:  # now it only tells of the end of the connection, and may take as long as it likes
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), BODY_S)
        except asyncio.TimeoutError as error:  # before Python 3.11 it is not the built-in one
            self.refusal = 408, "the request did not come in time"
            raise _RefusedError from error
        self._bytes += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._bytes > MOST_BODY_BYTES:
            self.refusal = 413, f"more than {MOST_BODY_BYTES} bytes"
            raise _RefusedError
        return message


def _add_headers(message: MutableMapping[str, Any]) -> None:
    there = {name.lower() for name, _ in message["headers"]}
    own = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in there]
    message["headers"] = [*message["headers"], *own]


async def _answer(send: Send, status: int, text: str) -> None:
    content = f"{text}\n".encode()
    start: Message = {
        "type": "http.response.start", "status": status,
        "headers": [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(content)).encode()),
            (b"connection", b"close"),
        ],
    }  # fmt: skip
    _add_headers(start)
    await send(start)
    await send({"type": "http.response.body", "body": content})
