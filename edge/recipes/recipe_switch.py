"""The change to another recipe, between two parts: all of it, or none."""

from __future__ import annotations

from collections.abc import Callable

from edge.products.product import CurrentProduct, Product
from edge.recipes.ready_recipe import ReadyRecipe
from edge.recipes.recipe_stager import RecipeStager
from edge.slots.bound_slot import BoundSlot


class RecipeSwitch:
    """For the thread of the inspection, which opens and closes engines.

    make: the product of a recipe, with its engine bound; where it raises, the recipe is refused and the old one goes on.
    taking: told of one that is taken now, before it is; must not wait.
    """

    def __init__(
        self,
        stager: RecipeStager,
        current: CurrentProduct,
        make: Callable[[ReadyRecipe, BoundSlot], Product],
        taking: Callable[[ReadyRecipe, Product], None],
    ) -> None:
        self._stager, self._current, self._make, self._taking = stager, current, make, taking

    def change(self) -> bool:
        """Change where a recipe is ready. True where the product is another one now: what was seen before is not its own."""
        ready = self._stager.take()
        if ready is None:
            return False
        try:
            bound = ready.bound()
        except Exception as error:  # whatever an engine throws
            return self._refuse(ready, error)
        try:
            product = self._make(ready, bound)
        except Exception as error:
            bound.close()
            return self._refuse(ready, error)
        self._taking(ready, product)
        self._current.change_to(product)
        self._stager.answer(ready)
        return True

    def _refuse(self, ready: ReadyRecipe, error: Exception) -> bool:
        ready.close()
        self._stager.answer(ready, str(error) or type(error).__name__)
        return False
