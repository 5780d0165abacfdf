"""Which slots a device may let go of."""

from __future__ import annotations

from edge.errors import SlotError
from edge.slots.calibration_slot import SlotStore


def superfluous(store: SlotStore, keep: int) -> list[int]:
    """All but the newest ``keep`` (≥ 1), the active one and the one a rollback goes to; raises SlotError where none is active."""
    active = store.active_serial()
    serials = store.serials()
    if active is None and serials:
        raise SlotError(f"{store.folder}: no calibration is active, so none can be told to be superfluous; activate one first")
    kept = {*serials[-keep:], active, *store.earlier()[:1]}
    return [serial for serial in serials if serial not in kept]
