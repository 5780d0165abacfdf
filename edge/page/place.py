"""What the page shows and changes: one state folder, its station, and the products that are calibrated there."""

from __future__ import annotations

import argparse
import threading
from dataclasses import dataclass
from pathlib import Path

from edge.bundle import MANIFEST, Bundle, open_bundle
from edge.clock import Clock
from edge.errors import ConfigError
from edge.page.page_config import PageConfig
from edge.recipes.recipe_file import load_recipes
from edge.recipes.recipe_request import RecipeFiles
from edge.records import part_archive, part_records
from edge.records.record_query import RecordQuery
from edge.slots.calibration_slot import SlotStore
from edge.station_config import StationConfig, load_station
from edge.storage.locations import bundle_path, recipes_path, state_path, station_path

CAPTURES = "captures"
"""Where ``calibrate --camera`` puts its sessions."""


@dataclass(frozen=True, slots=True)
class CalibratedProduct:
    """One product. name: of the recipe, empty where the station has one product only. station: as it is for this product."""

    name: str
    bundle: Path
    precision: str
    station: StationConfig


class Place:
    """Where everything lies. Raises ConfigError where the station or recipes file is wrong."""

    def __init__(self, options: argparse.Namespace, clock: Clock) -> None:
        self.station_path = station_path(options.station)
        self.station = load_station(self.station_path)
        self.clock = clock
        recipes = recipes_path(options.recipes)
        one_product = options.recipes is None and (options.bundle is not None or not recipes.is_file())
        self.recipes_path: Path | None = None if one_product else recipes
        origin = bundle_path(options.bundle) if self.recipes_path is None else recipes
        self.state = state_path(options.state, origin)
        self._one = CalibratedProduct("", origin, options.precision, self.station)
        self._bundles: dict[Path, tuple[tuple[int, int], Bundle]] = {}
        self._lock = threading.Lock()
        self.page = _page_config(self.station, options.http)

    @property
    def archive(self) -> Path:
        """The pictures of parts."""
        return self.station.archive.folder or self.state / part_archive.FOLDER

    @property
    def records(self) -> Path:
        """The parts' database."""
        return self.state / part_records.FOLDER / part_records.FILE

    @property
    def recipe_files(self) -> RecipeFiles:
        """Which product is wanted, and which runs."""
        return RecipeFiles(self.state, self.clock)

    def query(self) -> RecordQuery:
        """The records; raises RecordsError where there are none yet."""
        return RecordQuery(self.records)

    def products(self) -> dict[str, CalibratedProduct]:
        """By name, as the file says now; raises ConfigError."""
        if self.recipes_path is None:
            return {"": self._one}
        return {
            name: CalibratedProduct(name, recipe.bundle, recipe.precision, recipe.station.apply(self.station))
            for name, recipe in sorted(load_recipes(self.recipes_path).recipes.items())
        }

    def product(self, name: str) -> CalibratedProduct:
        """The one called ``name``, where that is empty the one that runs; raises ConfigError."""
        products = self.products()
        if not name and "" not in products:
            answer = self.recipe_files.answered()
            name = answer.running if answer is not None and answer.running in products else next(iter(products))
        if name not in products:
            raise ConfigError(f"there is no product {name!r}; there are: {', '.join(products)}")
        return products[name]

    def store(self, product: CalibratedProduct) -> SlotStore:
        """Its calibrations; raises BundleError. A bundle is checked once, and again when it is exchanged."""
        try:
            status = (product.bundle / MANIFEST).stat()
            key = status.st_mtime_ns, status.st_ino
        except OSError:
            key = 0, 0
        with self._lock:
            known = self._bundles.get(product.bundle)
            if known is None or known[0] != key:
                known = self._bundles[product.bundle] = key, open_bundle(product.bundle)
        return SlotStore(self.state, known[1], self.clock)


def _page_config(station: StationConfig, http: str | None) -> PageConfig:
    if http is None:
        return station.page
    try:
        return PageConfig.model_validate({**station.page.model_dump(), "listen": http})
    except ValueError as error:
        raise ConfigError(f"--http: expected address:port such as :8080 or 0.0.0.0:8443, got {http!r}") from error
