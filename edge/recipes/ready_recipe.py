"""A recipe opened and proved, ready to be taken between two parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.bundle import Bundle, open_bundle
from edge.engines.base import Engine
from edge.line.station_view import StationView, station_view
from edge.recipes.recipe_file import Recipe
from edge.recipes.recipe_request import RecipeRequest
from edge.slots.bound_slot import BoundSlot
from edge.slots.calibration_slot import CalibrationSlot, SlotStore
from edge.station_config import StationConfig
from edge.storage.locations import state_path

OpenEngine = Callable[[Bundle, str], Engine]
STAYS_IN_ITS_THREAD = "tensorrt"


@dataclass(slots=True)
class ReadyRecipe:
    """Everything an inspection needs of one product. ``close`` it where it is not taken.

    An engine on a GPU belongs to the thread that opened it: then it was opened, proved and closed beforehand, with its plan
    built, and ``bound`` opens it once more, in the thread that will use it.
    """

    name: str
    station: StationConfig
    view: StationView
    store: SlotStore
    slot: CalibrationSlot
    precision: str
    runtime: str
    open_engine: Callable[[], tuple[Engine, CalibrationSlot]]
    engine: Engine | None = None
    request: RecipeRequest | None = None
    """What wanted it."""

    def bound(self) -> BoundSlot:
        """Its engine with its slot, tested. For the thread that uses it, once. Raises InputError or EngineError."""
        if self.engine is None:
            self.engine, self.slot = self.open_engine()
        engine, self.engine = self.engine, None
        return BoundSlot(engine, self.slot)

    def close(self) -> None:
        """Give the engine back; may be called twice."""
        engine, self.engine = self.engine, None
        if engine is not None:
            engine.close()


def prepare(name: str, recipe: Recipe, station: StationConfig, state: Path | None, open_engine: OpenEngine) -> ReadyRecipe:
    """Open and prove ``recipe`` on ``station``; raises InputError or EngineError, and leaves nothing open."""
    own = recipe.station.apply(station)
    bundle = open_bundle(recipe.bundle)
    view = station_view(own, bundle.manifest.graph)
    store = SlotStore(state_path(state, bundle.path), bundle)

    def proved() -> tuple[Engine, CalibrationSlot]:
        engine = open_engine(bundle, recipe.precision)
        try:
            slot = store.current(recipe.precision, engine.runtime, view.view)
            engine.bind(slot.tensors)
            slot.self_test(engine)
        except BaseException:
            engine.close()
            raise
        return engine, slot

    engine, slot = proved()
    ready = ReadyRecipe(name, own, view, store, slot, recipe.precision, engine.runtime, proved, engine)
    if engine.runtime.startswith(STAYS_IN_ITS_THREAD):
        ready.close()
    return ready
