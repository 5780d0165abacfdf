"""What is set, who may use the page, and what was done."""

from __future__ import annotations

from typing import Annotated

import yaml
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from edge.page.audit_view import Origin, checked, newest_events
from edge.page.page_parts import PageParts, parts_of
from edge.page.roles import Role
from edge.page.sessions import Session
from edge.page.web.access import seeing
from edge.page.web.rendering import rendered
from edge.records.audit_log import FOLDER, AuditTrail

Technician = Annotated[Session, Depends(seeing(Role.TECHNICIAN))]
Engineer = Annotated[Session, Depends(seeing(Role.ENGINEER))]
routes = APIRouter()


@routes.get("/settings")
def settings(request: Request, session: Technician) -> Response:
    """The station as it was read at the start, with every default; nothing is changed here."""
    parts = parts_of(request)
    place = parts.place
    given = place.station.model_fields_set
    station = yaml.safe_dump(place.station.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    own = yaml.safe_dump(
        place.station.model_dump(mode="json", include=given, exclude_unset=True), sort_keys=False, allow_unicode=True
    )
    accounts = parts.accounts.all() if session.role >= Role.ENGINEER else []
    return rendered(
        request, "settings.html", station=station, own="" if not given else own, origin=place.station_path, state=place.state,
        recipes=place.recipes_path, products=place.products(), accounts=accounts,
    )  # fmt: skip


@routes.get("/audit")
def audit(request: Request, _: Engineer) -> Response:
    """The newest events of both trails, and whether the trails are whole."""
    trails = _trails(parts_of(request))
    return rendered(request, "audit.html", entries=newest_events(trails), checked=checked(trails))


def _trails(parts: PageParts) -> dict[Origin, AuditTrail]:
    return {"line": AuditTrail(parts.place.state / FOLDER), "page": parts.trail}
