"""Where things lie when nobody says: on a device under /var/lib and /etc, on a workstation beside the bundle."""

from __future__ import annotations

import os
from pathlib import Path

STATE_FOLDER = Path("/var/lib/edge-inspect")
DEFAULT_BUNDLE = STATE_FOLDER / "bundle"
SETTINGS_FOLDER = Path("/etc/edge-inspect")
DEFAULT_STATION = SETTINGS_FOLDER / "station.yaml"
DEFAULT_RECIPES = SETTINGS_FOLDER / "recipes.yaml"


def bundle_path(given: Path | None) -> Path:
    """``--bundle``, else EDGE_INSPECT_BUNDLE, else the device's own."""
    return given or _from_environment("EDGE_INSPECT_BUNDLE") or DEFAULT_BUNDLE


def state_path(given: Path | None, bundle: Path) -> Path:
    """``--state``, else EDGE_INSPECT_STATE, else /var/lib/edge-inspect for a bundle of the device, else the bundle's own folder.

    For several products the recipes file is in place of the bundle.
    """
    chosen = given or _from_environment("EDGE_INSPECT_STATE")
    if chosen is not None:
        return chosen
    places = bundle.absolute().parents
    return STATE_FOLDER if STATE_FOLDER in places or SETTINGS_FOLDER in places else places[0]


def station_path(given: Path | None) -> Path | None:
    """``--station``, else EDGE_INSPECT_STATION, else the device's own where it exists, else none."""
    return given or _from_environment("EDGE_INSPECT_STATION") or (DEFAULT_STATION if DEFAULT_STATION.is_file() else None)


def recipes_path(given: Path | None) -> Path:
    """``--recipes``, else EDGE_INSPECT_RECIPES, else the device's own."""
    return given or _from_environment("EDGE_INSPECT_RECIPES") or DEFAULT_RECIPES


def _from_environment(name: str) -> Path | None:
    value = os.environ.get(name)
    return Path(value) if value else None
