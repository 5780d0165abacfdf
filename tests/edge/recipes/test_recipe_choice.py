"""Which product a run begins with."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from edge.clock import ManualClock
from edge.errors import ConfigError
from edge.recipes.recipe_choice import chosen_recipe
from edge.recipes.recipe_request import RecipeAnswer, RecipeFiles
from edge.recipes.recipe_stager import RecipeStager
from edge.storage import locations


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    path = tmp_path / "recipes.yaml"
    path.write_text("recipes: {cap: {bundle: cap}, lid: {bundle: lid}}")
    return path


def options(**given: object) -> argparse.Namespace:
    return argparse.Namespace(**{"recipe": None, "recipes": None, "bundle": None, "record": None, "state": None, **given})


def begins_with(path: Path, recipe: str | None = None) -> str:
    choice = chosen_recipe(options(recipes=path, recipe=recipe), ManualClock())
    assert choice is not None
    return choice.name


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bundle": Path("b")}, "--bundle names one product"),
        ({"record": Path("run")}, "--record keeps the run of one product"),
        ({"recipe": "cup"}, "there is no recipe 'cup'; there are: cap, lid"),
        ({}, "none was wanted so far: cap, lid; say --recipe"),
    ],
)
def test_what_contradicts_itself_is_one_clear_line(recipes: Path, given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as told:
        chosen_recipe(options(recipes=recipes, **given), ManualClock())
    assert "\n" not in str(told.value)


def test_the_device_has_recipes_where_the_file_is_there_and_no_bundle_is_named(
    recipes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chosen_recipe(options(), ManualClock()) is None
    monkeypatch.setattr(locations, "DEFAULT_RECIPES", recipes)
    assert chosen_recipe(options(bundle=Path("b"), record=Path("run")), ManualClock()) is None
    with pytest.raises(ConfigError, match="say --recipe"):
        chosen_recipe(options(), ManualClock())


def test_recipes_of_the_device_keep_their_state_where_the_device_does() -> None:
    assert locations.state_path(None, locations.SETTINGS_FOLDER / "recipes.yaml") == locations.STATE_FOLDER
    assert locations.state_path(None, Path("/home/ann/recipes.yaml")) == Path("/home/ann")


def test_the_named_one_comes_before_the_last_wish_and_the_only_one_needs_no_wish(recipes: Path) -> None:
    files = RecipeFiles(recipes.parent, ManualClock())
    files.ask("lid", "Ann", "")
    assert begins_with(recipes) == "lid"
    assert begins_with(recipes, "cap") == "cap"
    only = recipes.parent / "only" / "recipes.yaml"
    only.parent.mkdir()
    only.write_text("recipes: {cap: {bundle: cap}}")
    assert begins_with(only) == "cap"


def test_a_wish_that_was_refused_is_not_taken_up_by_a_restart(recipes: Path) -> None:
    files = RecipeFiles(recipes.parent, ManualClock())
    wish = files.ask("lid", "Ann", "")
    files.answer(RecipeAnswer(number=wish.number, running="cap", refusal="not calibrated"))
    for _ in range(2):
        choice = chosen_recipe(options(recipes=recipes), ManualClock())
        assert choice is not None
        assert choice.name == "cap"
        with RecipeStager(files, choice.name, choice.number, lambda name: pytest.fail(name), lambda *_: None, ManualClock()):
            pass
    files.ask("lid", "Ann", "calibrated now")
    assert begins_with(recipes) == "lid"


def test_a_wish_made_while_the_first_product_was_opened_is_not_missed(recipes: Path) -> None:
    files, told = RecipeFiles(recipes.parent, ManualClock()), list[str]()

    def prepare(name: str) -> None:
        raise ConfigError(f"{name} was opened")

    choice = chosen_recipe(options(recipes=recipes, recipe="cap"), ManualClock())
    assert choice is not None
    files.ask("lid", "Ann", "")
    stager = RecipeStager(files, choice.name, choice.number, prepare, lambda text, _: told.append(text), ManualClock())  # type: ignore[arg-type]
    stager.poll()
    assert told[-1] == "recipe lid is refused: lid was opened; cap stays"
