"""recipes.yaml: several products on one station, each with its bundle, precision and what the station has otherwise for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from edge.errors import ConfigError
from edge.pictures.frame_health_config import FrameHealthConfig
from edge.station_config import DriftConfig, RegionConfig, StationConfig
from edge.storage.strict_yaml import StrictModel, load_model

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class StationPart(StrictModel):
    """What of station.yaml a product may have otherwise: what can change between two parts. Lines, trigger and camera stay.

    A key that is left out is the station's. The camera's settings need it opened anew, between two parts, too.
    """

    region: RegionConfig | None = None
    ignore_mask: Path | None = Field(None, strict=False, description="relative to recipes.yaml")
    exposure_us: float | None = Field(None, gt=0)
    gain: float | None = None
    white_balance_k: float | None = Field(None, gt=0)
    drift: DriftConfig | None = None
    frame_health: FrameHealthConfig | None = None

    def apply(self, station: StationConfig) -> StationConfig:
        """``station`` for this product."""
        given: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        camera: dict[str, Any] = {name: given.pop(name) for name in ("exposure_us", "gain", "white_balance_k") if name in given}
        if camera:
            given["camera"] = station.camera.model_copy(update=camera)
        return station.model_copy(update=given)


class Recipe(StrictModel):
    """One product."""

    bundle: Path = Field(strict=False, description="relative to recipes.yaml")
    precision: str = "fp32"
    station: StationPart = StationPart()


class Recipes(StrictModel):
    """The whole file."""

    recipes: dict[Annotated[str, Field(pattern=NAME)], Recipe]

    @model_validator(mode="after")
    def _at_least_one(self) -> Recipes:
        if not self.recipes:
            raise ValueError("expected at least one product under `recipes`, got none; add one, such as bottle: {bundle: bottle/}")
        return self

    def named(self, name: str) -> Recipe:
        """The recipe called ``name``; raises ConfigError naming those there are."""
        if name not in self.recipes:
            raise ConfigError(f"there is no recipe {name!r}; there are: {', '.join(sorted(self.recipes))}")
        return self.recipes[name]


def load_recipes(path: Path) -> Recipes:
    """The recipes in ``path``, their paths made absolute. Raises ConfigError, also for a mask that is not there."""
    loaded = load_model(Recipes, path)
    folder = path.parent.absolute()
    return Recipes(recipes={name: _placed(recipe, folder, f"{path}: {name}") for name, recipe in loaded.recipes.items()})


def _placed(recipe: Recipe, folder: Path, origin: str) -> Recipe:
    update: dict[str, object] = {"bundle": folder / recipe.bundle}
    if recipe.station.ignore_mask is not None:
        mask = folder / recipe.station.ignore_mask
        if not mask.is_file():
            raise ConfigError(f"{origin}: ignore_mask {mask} does not exist; correct the path (it is relative to recipes.yaml)")
        update["station"] = recipe.station.model_copy(update={"ignore_mask": mask})
    return recipe.model_copy(update=update)
