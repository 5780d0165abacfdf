"""Which programs run beside this inspection, as the command line and the station file want it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from edge.clock import Clock
from edge.live.companion import Companion
from edge.page.page_server import require_packages
from edge.station_config import StationConfig


def companions(
    options: argparse.Namespace, station: StationConfig, state: Path, tell: Callable[[str], None], clock: Clock
) -> list[Companion]:
    """Not started yet. state: of the inspection. tell: as Companion. Raises ConfigError where one of them could not run."""
    found = []
    if options.http is not None or station.page.listen is not None:
        require_packages()
        found.append(Companion("page", "edge.page.page_server", _page_arguments(options, state), tell, clock))
    return found


def _page_arguments(options: argparse.Namespace, state: Path) -> list[str]:
    arguments = ["--state", str(state), "--precision", options.precision]
    for name in ("bundle", "station", "recipes", "http"):
        given = getattr(options, name)
        arguments += [] if given is None else [f"--{name}", str(given)]
    return arguments
