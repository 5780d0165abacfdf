"""Which recipe a run begins with: the one named, else the one last wanted, unless that was refused."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from edge.clock import Clock
from edge.errors import ConfigError
from edge.recipes.recipe_file import Recipe, load_recipes
from edge.recipes.recipe_request import RecipeFiles
from edge.storage.locations import recipes_path, state_path


@dataclass(frozen=True, slots=True)
class RecipeChoice:
    """``number`` is of the request that was known when it was chosen, 0 for none."""

    path: Path
    files: RecipeFiles
    name: str
    number: int

    def recipe(self, name: str) -> Recipe:
        """What the file says of it now; raises ConfigError."""
        return load_recipes(self.path).named(name)


def chosen_recipe(options: argparse.Namespace, clock: Clock) -> RecipeChoice | None:
    """What ``--recipe``, ``--recipes`` and the state folder say; None where there are no recipes, or --bundle names the product.

    Raises ConfigError where options contradict each other, or nobody said which.
    """
    path = recipes_path(options.recipes)
    asked = options.recipe is not None or options.recipes is not None
    if options.bundle is not None and asked:
        raise ConfigError("--bundle names one product, --recipe and --recipes another; leave one out")
    if not asked and (options.bundle is not None or not path.is_file()):
        return None
    if options.record is not None:
        raise ConfigError(
            "--record keeps the run of one product, and recipes may change it; name it with --bundle and --precision instead"
        )
    recipes = load_recipes(path)
    files = RecipeFiles(state_path(options.state, path), clock)
    request = files.request()
    name = options.recipe or _last(files) or (next(iter(recipes.recipes)) if len(recipes.recipes) == 1 else None)
    if name is None:
        raise ConfigError(
            f"{path} has several recipes and none was wanted so far: {', '.join(sorted(recipes.recipes))}; say --recipe"
        )
    recipes.named(name)
    return RecipeChoice(path, files, name, request.number if request is not None else 0)


def _last(files: RecipeFiles) -> str | None:
    """What was wanted last; where that was refused, what ran instead."""
    request, answer = files.request(), files.answered()
    if answer is not None and (request is None or (answer.number == request.number and answer.refusal)):
        return answer.running
    return request.name if request is not None else None
