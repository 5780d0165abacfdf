"""edge-bench: accuracy and latency of a calibrated bundle, as a table for people (stderr) and JSON (stdout)."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from edge.bundle import open_bundle
from edge.calibration_slot import SlotStore
from edge.engines.open_engine import open_engine
from edge.errors import ConfigError
from edge.exit_code import reported
from edge.flags import add_engine_flags, whole_number
from edge.locations import bundle_path, state_path, station_path
from edge.station_config import load_station
from edge.station_view import station_view
from tools.benchmark.accuracy import Accuracy, measure_accuracy
from tools.benchmark.latency import Latency, measure_latency

DATA_VARIABLE = "EDGE_INSPECT_DATA"


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    with reported("edge-bench", console) as outcome:
        result = _measure(options, console)
        console.print(result.table())
        print(json.dumps(result.to_json()))
    return outcome.code


def _measure(options: argparse.Namespace, console: Console) -> Accuracy | Latency:
    bundle = open_bundle(bundle_path(options.bundle))
    view = station_view(load_station(station_path(options.station)), bundle.manifest.graph)
    with open_engine(bundle, options.precision, options.threads) as engine:
        slot = SlotStore(state_path(options.state, bundle.path), bundle).current(options.precision, engine.runtime, view.view)
        engine.bind(slot.tensors)
        if options.what == "latency":
            images = options.images or _data(options) / "test" / "good"
            return measure_latency(engine, view, slot, images, options.frames)
        data = _data(options)
        with Progress(console=console, transient=True) as bars:
            task = bars.add_task("images", total=None)
            return measure_accuracy(engine, view, slot, data, lambda: bars.advance(task))


def _data(options: argparse.Namespace) -> Path:
    value = options.data or os.environ.get(DATA_VARIABLE)
    if not value:
        raise ConfigError(f"expected a set of images: give --data DIR, or set {DATA_VARIABLE}")
    return Path(value)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    add_engine_flags(common)
    common.add_argument("--data", type=Path, help=f"folder with test/good and test/<defect>; default: {DATA_VARIABLE}")
    parser = argparse.ArgumentParser("edge-bench", description=__doc__)
    kinds = parser.add_subparsers(dest="what", required=True)
    kinds.add_parser("accuracy", parents=[common], help="AUROC, false rejects and misses on a labelled set")
    latency = kinds.add_parser("latency", parents=[common], help="p50 and p99 of each stage, peak memory")
    latency.add_argument("--images", type=Path, help="folder of images to inspect; default: test/good of the data")
    latency.add_argument("--frames", type=whole_number(1), default=300, help="frames to count (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
