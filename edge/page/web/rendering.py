"""From a template to an answer, in the reader's language; whatever goes into it is escaped."""

from __future__ import annotations

import json
import time
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse

from edge.page.page_parts import parts_of
from edge.page.roles import Role
from edge.page.words import COOKIE, LANGUAGES, chosen_language, words
from edge.version import product_version

TEMPLATES = Path(__file__).parent.parent / "templates"
FOR_SCRIPTS = "js_"
"""What the scripts say begins so, and is handed to them with the page."""


def said(request: Request) -> dict[str, str]:
    """All texts in the reader's language."""
    return words(language(request))


def language(request: Request) -> str:
    """The reader's."""
    cookie, accepted = request.cookies.get(COOKIE), request.headers.get("accept-language", "")
    return chosen_language(cookie, accepted, parts_of(request).config.language)


def rendered(request: Request, template: str, status: int = 200, **content: Any) -> HTMLResponse:
    """The page ``template``, which is given the texts as ``t`` and who is logged in as ``me``."""
    texts = said(request)
    for_scripts = {key: text for key, text in texts.items() if key.startswith((FOR_SCRIPTS, "remedy_", "outcome_", "state_"))}
    page = _environment().get_template(template)
    text = page.render(
        t=texts, language=language(request), languages=LANGUAGES, me=getattr(request.state, "session", None), Role=Role,
        path=request.url.path, version=product_version(), for_scripts=json.dumps(for_scripts, ensure_ascii=False), **content,
    )  # fmt: skip
    return HTMLResponse(text, status)


def local_time(wall_ns: int) -> str:
    """As people at the line read it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(wall_ns / 1e9))


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:#.4g}"


@cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.filters["local_time"] = local_time
    made.filters["figure"] = _figure
    return made
