"""The pages of past parts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response, StreamingResponse

from edge.line.part_tracker import Action
from edge.page.history import Wanted, archived_picture, csv_lines, page_of_parts, wanted_parts
from edge.page.page_parts import parts_of
from edge.page.roles import Role
from edge.page.sessions import Session
from edge.page.web.access import seeing
from edge.page.web.rendering import rendered
from edge.verdict import Outcome

Seeing = Annotated[Session, Depends(seeing(Role.OPERATOR))]
Moment = Annotated[str, Query(max_length=40)]
PartId = Annotated[int, Query(ge=0, le=2**63 - 1)]
routes = APIRouter()


@routes.get("/history")
def history(
    request: Request, _: Seeing, since: Moment = "", until: Moment = "", outcome: Moment = "", action: Moment = "",
    before: PartId | None = None,
) -> Response:  # fmt: skip
    """A page of parts, the newest first."""
    wanted = _wanted(request, since, until, outcome, action)
    rows, more = page_of_parts(parts_of(request).place.query(), wanted, before)
    asked = {"since": since, "until": until, "outcome": outcome, "action": action}
    choices = {"outcome": [one.value for one in Outcome], "action": [one.value for one in Action]}
    return rendered(request, "history.html", rows=rows, more=more, asked=asked, choices=choices, first=before is None)


@routes.get("/history.csv")
def history_csv(
    request: Request, session: Seeing, since: Moment = "", until: Moment = "", outcome: Moment = "", action: Moment = ""
) -> Response:
    """All that the filter finds."""
    parts = parts_of(request)
    wanted = _wanted(request, since, until, outcome, action)
    query = parts.place.query()
    parts.audit("csv", name=session.name, since=since, until=until, outcome=outcome, action=action)
    disposition = {"content-disposition": 'attachment; filename="parts.csv"'}
    return StreamingResponse(csv_lines(query, wanted), media_type="text/csv; charset=utf-8", headers=disposition)


@routes.get("/history/{part_id}")
def one_part(request: Request, part_id: int, _: Seeing) -> Response:
    """All that is known of one part."""
    place = parts_of(request).place
    row = place.query().part(part_id) if 0 <= part_id < 2**63 else None
    if row is None:
        return rendered(request, "error.html", 404, message=f"part {part_id}")
    pictures = {heat: archived_picture(place.archive, row["image"], heat) is not None for heat in (False, True)}
    return rendered(request, "part.html", row=row, pictures=pictures)


@routes.get("/history/{part_id}/picture")
def part_picture(request: Request, part_id: int, _: Seeing, heat: bool = False) -> Response:
    """Its archived picture, or the small one with its heat map."""
    place = parts_of(request).place
    row = place.query().part(part_id) if 0 <= part_id < 2**63 else None
    path = archived_picture(place.archive, row["image"], heat) if row is not None else None
    if path is None:
        return PlainTextResponse("no such picture\n", 404)
    return FileResponse(path, headers={"cache-control": "private, max-age=3600"})


def _wanted(request: Request, since: str, until: str, outcome: str, action: str) -> Wanted:
    return wanted_parts(parts_of(request).clock.wall_ns(), since, until, outcome, action)
