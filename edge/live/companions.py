"""Which processes run beside an inspection."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge.clock import Clock
from edge.live.companion import Companion
from edge.station_config import StationConfig


def companions(
    station: StationConfig, state: Path, first_part_id: int, recorded: bool, tell: Callable[[str], None], clock: Clock
) -> list[Companion]:
    """None is started yet. recorded: whether parts are recorded, which a dry run does not."""
    found = []
    if station.plant.wanted and recorded:
        arguments = [str(state), station.plant.model_dump_json(), str(first_part_id)]
        found.append(Companion("plant", "edge.plant.plant_server", arguments, tell, clock))
    return found
