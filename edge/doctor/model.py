"""Bundle and calibration: whole, made for each other, and for what the station looks at."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from edge.bundle import Bundle, open_bundle
from edge.clock import Clock
from edge.doctor.finding import Findings
from edge.errors import NotCalibratedError
from edge.line.station_view import view_of
from edge.slots.calibration_slot import CalibrationSlot, SlotStore
from edge.station_config import StationConfig

OLD_DAYS = 180


def check_bundle(path: Path, findings: Findings) -> Bundle | None:
    """Every file by its hash; the bundle, None where it cannot be used."""
    with findings.of("bundle"):
        bundle = open_bundle(path)
        files = len(bundle.manifest.files)
        findings.ok(
            "bundle",
            f"{path}: {bundle.manifest.model_id}, {', '.join(bundle.precisions())}; {files} files have their hash"
            + (f", signed by {bundle.signed_by}" if bundle.signed_by else ""),
        )
        return bundle
    return None


def check_slot(bundle: Bundle, state: Path, station: StationConfig, clock: Clock, findings: Findings) -> CalibrationSlot | None:
    """The active calibration by its hashes, the model and the view; the runtime is for edge-inspect to check."""
    with findings.of("calibration"):
        store = SlotStore(state, bundle)
        serial = store.active_serial()
        if serial is None:
            raise NotCalibratedError(f"none is active for this bundle ({store.without_active()}")
        slot = store.load(serial)
        store.require_model(slot.record)
        view = view_of(station)
        if slot.record.view != view:
            findings.failed(
                "calibration",
                f"{serial} was made for {slot.record.view.describe()}, the station now has {view.describe()}",
                "calibrate again, or correct the station file",
            )
            return None
        record = slot.record
        if (age_days := _age_days(record.created, clock)) is not None and age_days > OLD_DAYS:
            findings.warning(
                "calibration age", f"{serial} is {age_days:.0f} days old", "see whether it still holds: calibrate advise"
            )
        findings.ok("calibration", f"{serial} of {record.created}, {record.precision} on {record.runtime}: {slot.describe()}")
        return slot
    return None


def _age_days(created: str, clock: Clock) -> float | None:
    try:
        made = datetime.fromisoformat(created.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
    return (clock.wall_ns() / 1e9 - made) / 86400
