"""The pages of calibrations: what there is, what differs, make one, make one active, go back; and the product that runs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response

from edge.page.calibration import FASTEST_S, FEWEST, MOST, REPORT, SLOWEST_S, calibrate_arguments, listed_slots, make_active
from edge.page.captures import captured_sessions, session_folder
from edge.page.page_parts import parts_of
from edge.page.place import CAPTURES
from edge.page.roles import Role
from edge.page.sessions import Session
from edge.page.web.access import changing, seeing
from edge.page.web.rendering import rendered
from edge.pictures.image_file import CONTACT_SHEET
from edge.recipes.recipe_file import NAME
from edge.slots.slot_difference import difference
from edge.slots.slot_summary import rows, summary

REPORT_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
"""For calibrate's own page, which holds its style and pictures within itself, and no script."""
Seeing = Annotated[Session, Depends(seeing(Role.TECHNICIAN))]
Changing = Annotated[Session, Depends(changing(Role.TECHNICIAN))]
Product = Annotated[str, Query(max_length=64)]
FormProduct = Annotated[str, Form(max_length=64)]
Serial = Annotated[int, Query(ge=1, le=999_999_999)]
FormSerial = Annotated[int, Form(ge=1, le=999_999_999)]
FormActive = Annotated[int, Form(ge=0, le=999_999_999)]
Reason = Annotated[str, Form(min_length=1, max_length=200)]
routes = APIRouter(prefix="/calibration")


@routes.get("")
def calibrations(request: Request, _: Seeing, product: Product = "") -> Response:
    """All of one product, and what can be done with them."""
    parts = parts_of(request)
    place = parts.place
    one = place.product(product)
    store = place.store(one)
    history = store.history()
    log = list(zip(history.activations, history.took_effect(store.active_serial()), strict=True))[::-1][:10]
    limits = {"fewest": FEWEST, "most": MOST, "fastest": FASTEST_S, "slowest": SLOWEST_S}
    return rendered(
        request, "calibration.html", product=one, products=place.products(), slots=listed_slots(store),
        active=store.active_serial() or 0, earlier=store.earlier()[:1], log=log, captures=captured_sessions(place.state / CAPTURES),
        job=parts.job.state, limits=limits, answer=place.recipe_files.answered(), wanted=place.recipe_files.request(),
    )  # fmt: skip


@routes.get("/slot/{serial}")
def one_calibration(request: Request, serial: int, _: Seeing, product: Product = "") -> Response:
    """Everything about one; all of its files are checked."""
    place = parts_of(request).place
    one = place.product(product)
    store = place.store(one)
    active = store.active_serial()
    content = summary(store.load(serial), active, store.history())
    others = [other for other in reversed(store.serials()) if other != serial]
    report = (store.slot_path(serial) / REPORT).is_file()
    return rendered(
        request, "slot.html", product=one, serial=serial, rows=rows(content), active=active or 0, others=others, report=report
    )


@routes.get("/slot/{serial}/report")
def report(request: Request, serial: int, _: Seeing, product: Product = "") -> Response:
    """What calibrate wrote for people."""
    place = parts_of(request).place
    path = place.store(place.product(product)).slot_path(serial) / REPORT
    if serial < 1 or not path.is_file():
        return PlainTextResponse("no such report\n", 404)
    return FileResponse(path, media_type="text/html; charset=utf-8", headers={"content-security-policy": REPORT_POLICY})


@routes.get("/difference")
def slot_difference(request: Request, _: Seeing, first: Serial, second: Serial, product: Product = "") -> Response:
    """What differs between two."""
    place = parts_of(request).place
    one = place.product(product)
    store = place.store(one)
    found = difference(store.load(first), store.load(second), store.bundle.manifest.graph)
    return rendered(request, "difference.html", product=one, first=first, second=second, rows=found)


@routes.post("/activate")
def activate(
    request: Request, session: Changing, serial: FormSerial, active: FormActive, reason: Reason, product: FormProduct = ""
) -> Response:
    """Make one active; a running inspection takes it between two parts."""
    return _make_active(request, session, serial, active, reason, product, back=False)


@routes.post("/rollback")
def roll_back(
    request: Request, session: Changing, serial: FormSerial, active: FormActive, reason: Reason, product: FormProduct = ""
) -> Response:
    """Back to the one before."""
    return _make_active(request, session, serial, active, reason, product, back=True)


@routes.post("/run")
def run(
    request: Request, session: Changing, captured: Annotated[str, Form(max_length=64)] = "",
    frames: Annotated[int, Form(ge=FEWEST, le=MOST)] = 60, every_s: Annotated[float, Form(ge=FASTEST_S, le=SLOWEST_S)] = 1.0,
    drop_suspects: Annotated[bool, Form()] = False, product: FormProduct = "",
) -> Response:  # fmt: skip
    """Begin to calibrate."""
    parts = parts_of(request)
    one = parts.place.product(product)
    arguments = calibrate_arguments(parts.place, one, captured, frames, every_s, drop_suspects)
    what = {"captured": captured} if captured else {"frames": frames, "every_s": every_s}
    parts.audit("calibrate", name=session.name, product=one.name, drop_suspects=drop_suspects, **what)
    parts.job.start(arguments, one.name, session.name)
    return RedirectResponse("/calibration/run", 303)


@routes.get("/run")
def show_run(request: Request, _: Seeing) -> Response:
    """How far it is."""
    return rendered(request, "job.html", job=parts_of(request).job.state)


@routes.get("/run/state")
def run_state(request: Request, _: Seeing) -> Response:
    """The same for the page's script."""
    return JSONResponse(parts_of(request).job.state.to_record())


@routes.post("/run/stop")
def stop_run(request: Request, session: Changing) -> Response:
    """Stop it; nothing half-written is left."""
    parts = parts_of(request)
    parts.audit("calibrate stop", name=session.name)
    parts.job.stop()
    return RedirectResponse("/calibration/run", 303)


@routes.get("/captured/{name}")
def contact_sheet(request: Request, name: str, _: Seeing) -> Response:
    """All pictures of a session in one."""
    folder = session_folder(parts_of(request).place.state / CAPTURES, name)
    if folder is None or not (folder / CONTACT_SHEET).is_file():
        return PlainTextResponse("no such session\n", 404)
    return FileResponse(folder / CONTACT_SHEET, media_type="image/png")


@routes.post("/product")
def want_product(request: Request, session: Changing, name: Annotated[str, Form(pattern=NAME)], reason: Reason) -> Response:
    """Inspect another product from the next part on."""
    parts = parts_of(request)
    parts.place.product(name)
    parts.audit("product wanted", name=session.name, product=name, reason=reason)
    parts.place.recipe_files.ask(name, session.name, reason)
    return RedirectResponse("/calibration", 303)


def _make_active(request: Request, session: Session, serial: int, active: int, reason: str, product: str, back: bool) -> Response:
    parts = parts_of(request)
    one = parts.place.product(product)
    kind = "rollback" if back else "activate"
    parts.audit(kind, name=session.name, product=one.name, serial=serial, before=active, reason=reason)
    make_active(parts.place.store(one), serial, kind, session.name, reason, active)  # type: ignore[arg-type]
    return RedirectResponse(f"/calibration?product={one.name}", 303)
