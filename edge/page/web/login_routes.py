"""Logging in and out, and the language."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from edge.page.page_parts import PageParts, parts_of
from edge.page.roles import Role
from edge.page.sessions import Session
from edge.page.web.access import changing, cookie_name, find_session
from edge.page.web.rendering import rendered, said
from edge.page.words import COOKIE, LANGUAGES

YEAR_S = 365 * 86_400
MOST_AT_ONCE_S = 5.0
routes = APIRouter()


@routes.get("/login")
def show_login(request: Request) -> Response:
    """The form; who is logged in goes on."""
    if find_session(request) is not None:
        return RedirectResponse("/", 303)
    return _form(request, "")


@routes.post("/login")
def log_in(request: Request, name: Annotated[str, Form(max_length=64)], password: Annotated[str, Form(max_length=256)]) -> Response:
    """A new session where name and password are right; however it fails, it says the same."""
    parts, texts = parts_of(request), said(request)
    address = request.client.host if request.client is not None else ""
    if not parts.addresses.allows(address):
        return _form(request, texts["login_too_often"], 429)
    if locked_s := parts.locks.locked_s(name):
        return _form(request, texts["login_locked"].format(minutes=-(-locked_s // 60)), 429)
    if not parts.one_hash.acquire(timeout=MOST_AT_ONCE_S):
        return _form(request, texts["login_too_often"], 429)
    try:
        right = parts.accounts.verified(name, password)
    finally:
        parts.one_hash.release()
    session = parts.sessions.begin(name) if right else None
    if session is None:
        parts.locks.failed(name)
        parts.audit("login failed", name=name, address=address)
        return _form(request, texts["login_wrong"], 401)
    parts.locks.succeeded(name)
    parts.audit("login", name=name, role=session.role.word, address=address)
    if before := request.cookies.get(cookie_name(parts)):
        parts.sessions.end(before)
    answer = RedirectResponse("/", 303)
    _set_cookie(answer, parts, session.token)
    return answer


@routes.post("/logout")
def log_out(request: Request, session: Annotated[Session, Depends(changing(Role.OPERATOR))]) -> Response:
    """End the session here and in the browser."""
    parts = parts_of(request)
    parts.sessions.end(session.token)
    parts.audit("logout", name=session.name)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(cookie_name(parts), secure=parts.config.encrypted, httponly=True, samesite="strict")
    return answer


@routes.post("/language")
def choose_language(request: Request, language: Annotated[str, Form(max_length=8)]) -> Response:
    """Remember it in the browser; also for who is not logged in."""
    answer = RedirectResponse(_here(request), 303)
    if language in LANGUAGES:
        answer.set_cookie(COOKIE, language, max_age=YEAR_S, secure=parts_of(request).config.encrypted, samesite="strict")
    return answer


def _here(request: Request) -> str:
    """The page that it was asked from, which is one of ours: another site's never comes so far."""
    path = "/" + request.headers.get("referer", "").partition("://")[2].partition("/")[2]
    return "/" if path.startswith("//") or "\\" in path or not path.isascii() or not path.isprintable() else path


def _form(request: Request, failure: str, status: int = 200) -> Response:
    nobody = not parts_of(request).accounts.all()
    return rendered(request, "login.html", status, failure=failure, nobody=nobody)


def _set_cookie(answer: Response, parts: PageParts, token: str) -> None:
    answer.set_cookie(cookie_name(parts), token, secure=parts.config.encrypted, httponly=True, samesite="strict", path="/")
