"""The live page, its events and its pictures."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse

from edge.errors import InputError
from edge.page.page_parts import parts_of
from edge.page.roles import Role
from edge.page.sessions import Session
from edge.page.web.access import changing, cookie_name, seeing
from edge.page.web.rendering import rendered
from edge.supervision.stop_order import StopOrder

Seeing = Annotated[Session, Depends(seeing(Role.OPERATOR))]
Changing = Annotated[Session, Depends(changing(Role.TECHNICIAN))]
Seen = Annotated[str, Form(min_length=1, max_length=2000)]
routes = APIRouter()


@routes.get("/")
def live(request: Request, _: Seeing) -> Response:
    """What runs now."""
    return rendered(request, "live.html")


@routes.get("/live/events")
async def events(request: Request, session: Seeing) -> Response:
    """Server-sent events, until the session ends. An operator who only looks is not logged out for it."""
    parts = parts_of(request)
    if parts.feed.full:
        return PlainTextResponse("too many live pages are open; close one\n", 503, {"retry-after": "30"})
    token = request.cookies.get(cookie_name(parts), "")

    def still_allowed() -> bool:
        return parts.sessions.find(token, used=session.role is Role.OPERATOR) is not None

    return StreamingResponse(parts.feed.follow(still_allowed), media_type="text/event-stream")


@routes.get("/live/picture/{part_id}")
def picture(request: Request, part_id: int, _: Seeing, heat: Annotated[bool, Query()] = True) -> Response:
    """A JPEG of one of the newest parts; 404 when newer ones have taken its place."""
    shown = parts_of(request).feed.picture(part_id)
    content = shown.jpeg(heat) if shown is not None else None
    if content is None:
        return PlainTextResponse("no such picture\n", 404)
    return Response(content, media_type="image/jpeg")


@routes.post("/live/release")
def release(request: Request, session: Changing, seen: Seen) -> Response:
    """A stopped line may run again. seen: why it stood, as the page showed it to whoever has looked for the part."""
    parts = parts_of(request)
    order = StopOrder(parts.place.state, lambda _: None)
    reason = order.standing()
    if not reason:
        raise InputError("no stopped line is on the disk: it has been released meanwhile, or the disk has not taken the order yet")
    if f"; {reason};" not in f"; {seen}":  # beside it may stand what was released just before
        raise InputError("the line was stopped for another reason meanwhile; look again before you release it")
    parts.audit("line released", name=session.name, reason=reason)
    order.release(reason)
    return RedirectResponse("/", 303)
