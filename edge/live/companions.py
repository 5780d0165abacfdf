"""Which programs run beside this inspection, as the command line and the station file want it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from edge.clock import Clock
from edge.live.companion import Companion
from edge.page.page_server import require_packages
from edge.plant.plant_config import CONFIG, PlantConfig
from edge.station_config import StationConfig


def companions(
    options: argparse.Namespace,
    station: StationConfig,
    state: Path,
    first_part_id: int,
    recorded: bool,
    tell: Callable[[str], None],
    clock: Clock,
) -> list[Companion]:
    """None is started yet. state: of the inspection. recorded: whether parts are recorded, which a dry run does not. tell: as
    Companion. Raises ConfigError where one of them could not run.
    """
    found = []
    if options.http is not None or station.page.listen is not None:
        require_packages()
        found.append(Companion("page", "edge.page.page_server", _page_arguments(options, state), tell, clock))
    if station.plant.wanted and recorded:
        found.append(plant_companion(station.plant, state, first_part_id, tell, clock))
    return found


def plant_companion(config: PlantConfig, state: Path, first_part_id: int, tell: Callable[[str], None], clock: Clock) -> Companion:
    """The plant beside an inspection of ``state``, whose run began with ``first_part_id``."""
    environment = {CONFIG: config.model_dump_json()}  # the address of a webhook may have a secret in it
    return Companion("plant", "edge.plant.plant_server", [str(state), str(first_part_id)], tell, clock, environment)


def _page_arguments(options: argparse.Namespace, state: Path) -> list[str]:
    arguments = ["--state", str(state), "--precision", options.precision]
    for name in ("bundle", "station", "recipes", "http"):
        given = getattr(options, name)
        arguments += [] if given is None else [f"--{name}", str(given)]
    return arguments
