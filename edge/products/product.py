"""Everything that decides about the parts of one product, changed as one thing: no part is judged by a mixture of two."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from edge.drift.drift_watch import DriftWatch
from edge.errors import SlotError
from edge.frame import Image
from edge.line.station_view import StationView
from edge.pictures.frame_health import FrameHealth
from edge.slots.bound_slot import BoundSlot
from edge.slots.calibration_slot import CalibrationSlot
from edge.slots.slot_watcher import CLOSE_S


class Slots(Protocol):
    """A SlotWatcher, or the calibrations of a recorded run."""

    def take(self) -> CalibrationSlot | None:
        """The slot to change to, if any."""
        ...

    def answer(self, slot: CalibrationSlot, refusal: str = "") -> None:
        """What became of it."""
        ...

    def close(self, wait_s: float) -> None:
        """Look no more; waits for that no longer than ``wait_s``."""
        ...


@dataclass(slots=True)
class Product:
    """``bound`` scores and judges, ``slots`` has other calibrations for it ready, ``new_health`` makes for each what tells pictures
    that cannot be judged. recipe: its name, empty where the station has one product only. For the thread of the inspection.
    """

    bound: BoundSlot
    view: StationView
    precision: str
    slots: Slots | None = None
    new_health: Callable[[CalibrationSlot], FrameHealth] | None = None
    drift: DriftWatch | None = None
    recipe: str = ""
    health: FrameHealth | None = field(init=False)

    def __post_init__(self) -> None:
        self.health = self.new_health(self.slot) if self.new_health is not None else None

    @property
    def slot(self) -> CalibrationSlot:
        """The one that decides."""
        return self.bound.slot

    def preprocess(self, image: Image) -> Image:
        """As StationView.preprocess, for pictures of the size that the slot was made of. Any thread."""
        return self.view.expecting(self.slot.record.frame_size).preprocess(image)

    def take_slot(self) -> None:
        """Change to another calibration where one is ready; one that does not fit is refused and the old one goes on."""
        slot = self.slots.take() if self.slots is not None else None
        if self.slots is None or slot is None or slot.record == self.slot.record:
            return
        try:
            health = self.new_health(slot) if self.new_health is not None else None
            self.bound.change_to(slot)
        except SlotError as error:
            self.slots.answer(slot, str(error))
        else:
            self.health = health
            self.slots.answer(slot)

    def close(self) -> None:
        """Give the engine back, in the thread that used it; may be called twice. Never raises: it is not needed any more."""
        if self.slots is not None:
            self.slots.close(0)
        with suppress(Exception):
            self.bound.close()


class CurrentProduct:
    """The one that is inspected. The thread of the inspection changes it, between two parts; another prepares pictures for it."""

    def __init__(self, product: Product) -> None:
        self.product = product

    def preprocess(self, image: Image) -> Image:
        """As Product.preprocess."""
        return self.product.preprocess(image)

    def change_to(self, product: Product) -> None:
        """From now on ``product``; the old one is closed."""
        before, self.product = self.product, product
        before.close()

    def stop_looking(self) -> None:
        """Look for no other calibration of the present one; waits a moment for what is still to be told."""
        if self.product.slots is not None:
            self.product.slots.close(CLOSE_S)

    def close(self) -> None:
        """Close the present one; may be called twice."""
        self.product.close()
