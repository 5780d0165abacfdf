"""Who asks, and whether they may: what every route of the page depends on. A change must carry the session's form token."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from edge.page.page_parts import PageParts, parts_of
from edge.page.roles import Role
from edge.page.sessions import Session

FORM_TOKEN = "form_token"
FORM_HEADER = "x-form-token"


class NotLoggedInError(Exception):
    """Nobody, or a session that is over."""


class NotAllowedError(Exception):
    """Somebody whose role is not enough, or a change that the page itself did not ask for."""


def cookie_name(parts: PageParts) -> str:
    """Of the session. With the prefix a browser takes it only over TLS, from this host, for all of it."""
    return "__Host-edge-inspect" if parts.config.encrypted else "edge-inspect"


def find_session(request: Request) -> Session | None:
    """Who asks."""
    parts = parts_of(request)
    token = request.cookies.get(cookie_name(parts))
    return parts.sessions.find(token) if token else None


def seeing(role: Role) -> Callable[[Request], Session]:
    """A dependency: the session of somebody who may do what ``role`` may; raises NotLoggedInError, NotAllowedError."""

    def session(request: Request) -> Session:
        found = find_session(request)
        if found is None:
            raise NotLoggedInError
        if found.role < role:
            raise NotAllowedError
        request.state.session = found
        return found

    return session


def changing(role: Role) -> Callable[[Request], Awaitable[Session]]:
    """As ``seeing``, for what changes something."""
    see = seeing(role)

    async def session(request: Request) -> Session:
        found = await run_in_threadpool(see, request)
        given = request.headers.get(FORM_HEADER)
        if given is None:
            value = (await request.form()).get(FORM_TOKEN)
            given = value if isinstance(value, str) else ""
        if not hmac.compare_digest(given.encode(), found.form_token.encode()):
            raise NotAllowedError
        return found

    return session
