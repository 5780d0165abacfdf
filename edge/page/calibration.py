"""What the calibration pages show and do, with the same means as ``edge-slots`` and ``calibrate``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import yaml

from edge.errors import ConfigError, InputError, SlotError
from edge.page.captures import session_folder
from edge.page.place import CAPTURES, CalibratedProduct, Place
from edge.slots.calibration_slot import SlotStore
from edge.slots.slot_activations import Action
from edge.slots.slot_record import SlotRecord
from edge.storage.durable_files import write_file

REPORT = "report.html"
FEWEST, MOST = 10, 2000
"""Pictures of a calibration that is started from the page."""
FASTEST_S, SLOWEST_S = 0.1, 60.0


@dataclass(frozen=True, slots=True)
class ListedSlot:
    """record: None where it is damaged, for the reason in ``damage``."""

    serial: int
    record: SlotRecord | None
    damage: str
    active: bool
    report: bool


def listed_slots(store: SlotStore) -> list[ListedSlot]:
    """The newest first; only the records are checked, not every file."""
    active = store.active_serial()
    found = []
    for serial in reversed(store.serials()):
        try:
            record, damage = store.record(serial), ""
        except InputError as error:
            record, damage = None, str(error)
        report = (store.slot_path(serial) / REPORT).is_file()
        found.append(ListedSlot(serial, record, damage, serial == active, report))
    return found


def make_active(store: SlotStore, serial: int, action: Action, operator: str, reason: str, seen_active: int) -> None:
    """Check ``serial`` and make it active, or go back to it; raises InputError.

    seen_active: which was active when the person decided, 0 for none; where another is by now, nothing is done.
    """
    with store.writing():
        active = store.active_serial()
        if (active or 0) != seen_active:
            raise SlotError(f"calibration {active} has become active meanwhile; look again before you change it")
        if action == "rollback" and serial not in store.earlier()[:1]:
            raise SlotError(f"calibration {serial} is not the one before {active}; look again before you change it")
        if serial == active:
            raise SlotError(f"calibration {serial} is active already")
        store.activate(store.load(serial), operator, reason, action)


def calibrate_arguments(
    place: Place, product: CalibratedProduct, session: str, frames: int, every_s: float, drop_suspects: bool
) -> list[str]:
    """For ``calibrate``: new pictures of the running inspection, or those of ``session``. Raises ConfigError, OutputError."""
    arguments = ["--bundle", str(product.bundle), "--state", str(place.state), "--precision", product.precision, "--no-activate"]
    arguments += ["--threads", str(max(1, (os.cpu_count() or 1) // 2))]  # the inspection needs its share
    if place.recipes_path is None:
        arguments += [] if place.station_path is None else ["--station", str(place.station_path)]
    else:
        arguments += ["--station", str(_own_station(place, product))]
    if drop_suspects:
        arguments.append("--drop-suspects")
    if not session:
        if not (FEWEST <= frames <= MOST and FASTEST_S <= every_s <= SLOWEST_S):
            raise ConfigError(f"expected {FEWEST} to {MOST} pictures, one in {FASTEST_S:g} to {SLOWEST_S:g} seconds")
        return [*arguments, "--camera", "inspect", "--frames", str(frames), "--every", f"{every_s:g}"]
    folder = session_folder(place.state / CAPTURES, session)
    if folder is None:
        raise ConfigError(f"there is no session {session[:80]!r} in {place.state / CAPTURES}; choose one of the list")
    return [*arguments, "--", str(folder)]


def _own_station(place: Place, product: CalibratedProduct) -> Path:
    """The station as it is for this product, as a file for ``calibrate``, which knows no recipes."""
    folder = place.state / "page"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"station-{product.name}.yaml"
    content = product.station.model_dump(mode="json", exclude_defaults=True)
    write_file(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode())
    return path
