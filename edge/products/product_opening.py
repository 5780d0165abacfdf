"""What a run begins with: bundle, engine and calibration of one product, waited for where they are not there yet."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from edge.bundle import Bundle, open_bundle
from edge.engines.base import Engine
from edge.engines.build_observer import BuildObserver
from edge.engines.next_precision import open_or_next
from edge.engines.open_engine import open_chosen_engine
from edge.line.station_view import station_view
from edge.recipes.ready_recipe import ReadyRecipe, prepare
from edge.recipes.recipe_choice import RecipeChoice
from edge.slots.calibration_slot import CalibrationSlot, SlotStore
from edge.station_config import StationConfig
from edge.storage.locations import bundle_path, state_path

WaitFor = Callable[[Callable[[], CalibrationSlot]], CalibrationSlot]


class ProductOpening:
    """As the options say. choice: the recipe to begin with, None for the one product of ``--bundle``."""

    def __init__(
        self, options: argparse.Namespace, station: StationConfig, choice: RecipeChoice | None, observer: BuildObserver
    ) -> None:
        self._options, self._station, self._choice, self._observer = options, station, choice, observer
        recipe = choice.recipe(choice.name) if choice is not None else None
        self._own = recipe.station.apply(station) if recipe is not None else station
        self._precision = recipe.precision if recipe is not None else options.precision
        self.bundle = open_bundle(recipe.bundle if recipe is not None else bundle_path(options.bundle))
        self.view = station_view(self._own, self.bundle.manifest.graph)
        slots = state_path(options.state, self.bundle.path)
        self.state: Path = choice.files.folder if choice is not None else slots
        """Of the station, whatever product it inspects."""
        self._store = SlotStore(slots, self.bundle)

    def first(self, stack: ExitStack, wait_for: WaitFor) -> ReadyRecipe:
        """Opened, bound and proved; its engine on ``stack``. Instead of a precision that does not work, the next safer one."""
        store, view = self._store, self.view.view
        engine, precision, spare = open_or_next(
            self.bundle, self._precision, lambda one: self.engine(self.bundle, one),
            lambda one: store.calibrated_for(one, view), self._observer.say,
        )  # fmt: skip
        stack.enter_context(engine)
        slot = spare or wait_for(lambda: store.current(precision, engine.runtime, view))
        engine.bind(slot.tensors)
        slot.self_test(engine)
        name = self._choice.name if self._choice is not None else ""
        return ReadyRecipe(name, self._own, self.view, store, slot, precision, engine.runtime, lambda: (engine, slot), engine)

    def engine(self, bundle: Bundle, precision: str) -> Engine:
        """As the flags for engines say."""
        return open_chosen_engine(bundle, self._options, precision, self._observer)

    def another(self, name: str) -> ReadyRecipe:
        """A recipe of the same file, as it is now, for this station; raises what ``prepare`` does."""
        assert self._choice is not None
        return prepare(name, self._choice.recipe(name), self._station, self._options.state, self.engine)
