"""The web application: its routes, what answers an error, and how it begins and ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from edge.clock import Clock
from edge.errors import EdgeInspectError, OutputError
from edge.page.accounts import FOLDER, AccountFile, Accounts
from edge.page.calibrate_job import CalibrateJob, JobState
from edge.page.live_feed import LiveFeed
from edge.page.login_limits import AddressLimit, NameLocks
from edge.page.page_parts import PageParts
from edge.page.place import Place
from edge.page.sessions import Sessions
from edge.page.web import calibration_routes, history_routes, live_routes, login_routes, settings_routes
from edge.page.web.access import NotAllowedError, NotLoggedInError
from edge.page.web.guard import Guard
from edge.page.web.rendering import rendered
from edge.records.audit_log import FOLDER as AUDIT
from edge.records.audit_log import AuditTrail

STATIC = Path(__file__).parent.parent / "static"
FOR_SCRIPTS = ("/live/events", "/live/picture", "/calibration/run/state")
"""Asked for by scripts, which get no form to log in."""


def page_app(place: Place, clock: Clock) -> FastAPI:
    """Ready to be served by one process; everything it needs lies in ``place``."""
    parts = page_parts(place, clock)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        parts.feed.start(asyncio.get_running_loop())
        try:
            yield
        finally:
            parts.feed.close()
            parts.job.close()

    app = FastAPI(title="edge-inspect", lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.parts = parts
    for module in (login_routes, live_routes, history_routes, calibration_routes, settings_routes):
        app.include_router(module.routes)
    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_exception_handler(NotLoggedInError, _not_logged_in)
    app.add_exception_handler(NotAllowedError, _not_allowed)
    app.add_exception_handler(EdgeInspectError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _failed)
    app.add_middleware(Guard, host_names=place.page.host_names)
    return app


def page_parts(place: Place, clock: Clock) -> PageParts:
    """What the routes work with."""
    file = AccountFile(place.state)
    trail = AuditTrail(place.state / FOLDER / AUDIT)

    def ended(state: JobState) -> None:
        with suppress(OutputError):  # it is over anyway, and the page shows it
            last = state.words[-1] if state.words else ""
            trail.append(
                clock.wall_ns(), "calibrated",
                {"name": state.operator, "product": state.product, "end": state.phase, "serial": state.serial, "words": last[:500]},
            )  # fmt: skip

    sessions = Sessions(file, place.page.idle_minutes, clock)
    return PageParts(
        place, clock, Accounts(file, clock), sessions, AddressLimit(clock), NameLocks(file, clock),
        LiveFeed(place.state, place.page, clock), CalibrateJob(clock, ended), trail, threading.Lock(),
    )  # fmt: skip


def _not_logged_in(request: Request, _: Exception) -> Response:
    if request.method == "GET" and not request.url.path.startswith(FOR_SCRIPTS):
        return RedirectResponse("/login", 303)
    return JSONResponse({"error": "log in"}, 401)


def _not_allowed(request: Request, _: Exception) -> Response:
    return rendered(request, "error.html", 403, message="")


def _refused(request: Request, error: Exception) -> Response:
    status = 503 if isinstance(error, OutputError) else 409
    return rendered(request, "error.html", status, message=str(error))


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return rendered(request, "error.html", 422, message=f"{where}: {first['msg']}")


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return rendered(request, "error.html", error.status_code, message="")


def _failed(request: Request, error: Exception) -> Response:
    return rendered(request, "error.html", 500, message=type(error).__name__)
