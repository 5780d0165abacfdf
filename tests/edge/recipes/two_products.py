"""Two products on one station, so different that no verdict can be taken for one of the other: view, calibration, scores."""

from __future__ import annotations

from pathlib import Path

from calibration.cli import main as calibrate
from edge.engines.open_engine import open_engine
from edge.recipes.ready_recipe import prepare
from edge.recipes.recipe_file import load_recipes
from edge.station_config import StationConfig
from tests.tiny_bundle import part_image, write_tiny_bundle

GOOD = part_image(3)
REGION = "{x: 16, y: 16, width: 64, height: 64}"


def write_two_products(calibrated_dir: Path) -> Path:
    """recipes.yaml with `cap` (the whole picture), `lid` (a region), and `gone`, which is not there."""
    folder = calibrated_dir.parent
    station = folder / "lid.yaml"
    station.write_text(f"region: {REGION}\n")
    lid = write_tiny_bundle(folder / "lid" / "bundle")
    assert calibrate([str(folder / "normal"), "--bundle", str(lid), "--station", str(station)]) == 0
    path = folder / "recipes.yaml"
    path.write_text(
        "recipes:\n"
        "  cap: {bundle: bundle}\n"
        f"  lid: {{bundle: lid/bundle, station: {{region: {REGION}}}}}\n"
        "  gone: {bundle: nowhere}\n"
    )
    return path


def judged(recipes: Path, name: str) -> tuple[float, float]:
    """(threshold, score of GOOD) of a product by itself."""
    ready = prepare(name, load_recipes(recipes).named(name), StationConfig(), None, open_engine)
    bound = ready.bound()
    try:
        return ready.slot.record.threshold, bound.infer(ready.view.preprocess(GOOD)).scores.score
    finally:
        bound.close()
