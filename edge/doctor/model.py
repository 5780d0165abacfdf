"""Bundle and calibration: whole, made for each other, and for what the station looks at."""

from __future__ import annotations

from pathlib import Path

from edge.bundle import Bundle, open_bundle
from edge.doctor.finding import Findings
from edge.errors import NotCalibratedError
from edge.line.station_view import view_of
from edge.slots.calibration_slot import CalibrationSlot, SlotStore
from edge.station_config import StationConfig


def check_bundle(path: Path, findings: Findings) -> Bundle | None:
    """Every file by its hash; the bundle, None where it cannot be used."""
    with findings.of("bundle"):
        bundle = open_bundle(path)
        files = len(bundle.manifest.files)
        findings.ok(
            "bundle", f"{path}: {bundle.manifest.model_id}, {', '.join(bundle.precisions())}; {files} files have their hash"
        )
        return bundle
    return None


def check_slot(bundle: Bundle, state: Path, station: StationConfig, findings: Findings) -> CalibrationSlot | None:
    """The active calibration by its hashes, the model and the view; the runtime is for edge-inspect to check."""
    with findings.of("calibration"):
        store = SlotStore(state, bundle)
        serial = store.active_serial()
        if serial is None:
            raise NotCalibratedError(f"there is none for this bundle in {store.folder}; run: calibrate normal_dir/")
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
        findings.ok("calibration", f"{serial} of {record.created}, {record.precision} on {record.runtime}: {slot.describe()}")
        return slot
    return None
