"""From an opened recipe to what the loop works with: its calibrations looked after, its pictures and its drift watched."""

from __future__ import annotations

from collections.abc import Callable

from edge.clock import Clock
from edge.drift.drift_watch import DriftEvent, DriftWatch
from edge.pictures.frame_health import FrameHealth
from edge.products.product import Product
from edge.recipes.ready_recipe import ReadyRecipe
from edge.slots.bound_slot import BoundSlot
from edge.slots.slot_watcher import SlotWatcher


class ProductMaking:
    """tell: one line for people, from a thread that may wait, and whether it is bad news.

    live: as Camera.live. triggered: as FrameHealth has it.
    """

    def __init__(
        self,
        live: bool,
        triggered: bool,
        tell: Callable[[str, bool], None],
        tell_drift: Callable[[DriftEvent], None],
        clock: Clock,
    ) -> None:
        self._live, self._triggered, self._tell, self._tell_drift, self._clock = live, triggered, tell, tell_drift, clock

    def make(self, ready: ReadyRecipe, bound: BoundSlot) -> Product:
        """The product of ``ready``, whose engine is ``bound``. Another calibration of it is looked for from now on."""
        health, live, triggered = ready.station.frame_health, self._live, self._triggered
        slots = SlotWatcher(ready.store, ready.precision, ready.runtime, ready.view.view, bound.slot, self._tell, self._clock)
        product = Product(
            bound, ready.view, ready.precision, slots,
            lambda slot: FrameHealth(health, slot.record.baseline, slot.pictures, live, triggered),
            DriftWatch(ready.station.drift, self._tell_drift), ready.name,
        )  # fmt: skip
        slots.start()
        return product


def described(ready: ReadyRecipe) -> dict[str, str]:
    """For the audit trail."""
    what = {"model": ready.store.bundle.manifest.model_id, "precision": ready.precision, "runtime": ready.runtime}
    return {"recipe": ready.name, **what} if ready.name else what
