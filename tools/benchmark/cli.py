"""edge-bench: accuracy, robustness, latency, engines, soak, plant, the method's claims; a table (stderr) and JSON (stdout).

With --out, sets are trained, exported and calibrated here; without it, a calibrated bundle is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress

from edge.bundle import open_bundle
from edge.console.exit_code import reported
from edge.console.flags import MOST_THREADS, add_bundle_flags, add_engine_flags, add_running_flags, add_station_flag, whole_number
from edge.engines.build_observer import ConsoleObserver
from edge.engines.open_engine import open_chosen_engine
from edge.errors import EXIT_FAILED, ConfigError
from edge.line.station_view import station_view
from edge.slots.calibration_slot import SlotStore
from edge.station_config import StationConfig, load_station
from edge.storage.locations import bundle_path, state_path, station_path
from edge.storage.strict_yaml import load_yaml, parse
from tools.benchmark.accuracy import Accuracy, measure_accuracy
from tools.benchmark.labelled_set import find_labelled_sets, open_labelled_set
from tools.benchmark.latency import Latency, measure_latency
from tools.benchmark.report_files import require_folder
from trainer.train_config import TrainConfig

if TYPE_CHECKING:
    from tools.benchmark.accuracy_report import AccuracyReport
    from tools.benchmark.calibration_promise import CalibrationPromise
    from tools.benchmark.complementarity import Complementarity
    from tools.benchmark.drift import DriftBenchmark
    from tools.benchmark.engines import EngineBenchmark
    from tools.benchmark.page_viewers import PageViewers
    from tools.benchmark.plant_soak import PlantSoak
    from tools.benchmark.robustness import Robustness
    from tools.benchmark.soak_account import Soak

DATA_VARIABLE = "EDGE_INSPECT_DATA"
FILE_WIDTH = 150
"""Columns of a table that goes to a file, where nobody's terminal sets them."""


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    with reported("edge-bench", console) as outcome:
        result = _measure(options, console)
        if not console.is_terminal:
            console = Console(stderr=True, width=max(console.width, FILE_WIDTH))
        console.print(result.table(), markup=False, highlight=False)
        print(json.dumps(result.to_json()))
        outcome.code = EXIT_FAILED if getattr(result, "failures", None) else outcome.code
    return outcome.code


def _measure(
    options: argparse.Namespace, console: Console
) -> (
    Accuracy
    | Latency
    | AccuracyReport
    | Robustness
    | Complementarity
    | CalibrationPromise
    | DriftBenchmark
    | EngineBenchmark
    | PlantSoak
    | Soak
    | PageViewers
):
    if options.what == "calibration":
        return _calibration(options, console)
    if options.what == "complementarity":
        return _complementarity(options, console)
    if options.what == "drift":
        from tools.benchmark.drift import measure_drift

        require_folder(options.out)
        return measure_drift(options.out, options.runs, console)
    if options.what == "engines":
        return _engines(options, console)
    if options.what == "page":
        return _page(options)
    if options.what == "plant":
        from tools.benchmark.plant_soak import measure_plant

        if options.out:
            require_folder(options.out)
        return measure_plant(options.parts, options.rate, options.seed, options.pairs, options.out, console)
    if options.what == "soak":
        return _soak(options, console)
    return _measure_sets(options, console) if getattr(options, "out", None) else _measure_bundle(options, console)


def _measure_bundle(options: argparse.Namespace, console: Console) -> Accuracy | Latency:
    if getattr(options, "config", None):
        raise ConfigError("--config is for sets that are trained here; give --out DIR too, or leave it out")
    bundle = open_bundle(bundle_path(options.bundle))
    view = station_view(load_station(station_path(options.station)), bundle.manifest.graph)
    with open_chosen_engine(bundle, options, observer=ConsoleObserver(console)) as engine:
        slot = SlotStore(state_path(options.state, bundle.path), bundle).current(options.precision, engine.runtime, view.view)
        engine.bind(slot.tensors)
        console.print(f"{options.precision} on {engine.runtime}", markup=False, highlight=False, soft_wrap=True)
        if options.what == "latency":
            images = options.images or _data(options) / "test" / "good"
            return measure_latency(engine, view, slot, images, options.frames)
        labelled = open_labelled_set(_data(options))
        with Progress(console=console, transient=True) as bars:
            task = bars.add_task("images", total=len(labelled))
            return measure_accuracy(engine, view, slot, labelled, lambda: bars.advance(task))


def _measure_sets(options: argparse.Namespace, console: Console) -> AccuracyReport | Robustness:
    for flag in ("bundle", "state"):
        if getattr(options, flag):
            raise ConfigError(f"--{flag} and --out: with --out, bundles are made there; leave one of them out")
    sets = find_labelled_sets(_data(options))
    content = load_yaml(options.config) if options.config else {}
    config = parse(TrainConfig, content, str(options.config))
    require_folder(options.out)
    from tools.benchmark import accuracy_report, robustness, trained_set  # torch takes seconds; a wrong flag needs none of it

    settings = trained_set.Settings(
        config, options.station, options.precision, options.threads, options.engine, options.image_memory
    )  # fmt: skip
    measure = accuracy_report.measure_sets if options.what == "accuracy" else robustness.measure_robustness
    return measure(sets, options.out, settings, console)


def _complementarity(options: argparse.Namespace, console: Console) -> Complementarity:
    from tools.benchmark.complementarity import measure_complementarity  # torch takes seconds, and latency must not see it

    regularisers = options.regularisers.split(",")
    sets = options.sets.split(",") if options.sets else None
    data = _data(options)
    return measure_complementarity(data, options.out, options.seeds, regularisers, sets, options.steps, options.limit, console)


def _calibration(options: argparse.Namespace, console: Console) -> CalibrationPromise:
    from tools.benchmark.calibration_promise import measure_calibration  # matplotlib takes a second, and latency must not see it

    data = _data(options) if options.bundles else None
    slow_runs = min(options.runs, options.slow_runs)
    return measure_calibration(options.out, options.bundles, data, options.runs, slow_runs, options.threads, console, options.cost)


def _engines(options: argparse.Namespace, console: Console) -> EngineBenchmark:
    from tools.benchmark.engines import measure_engines  # matplotlib takes a second, and latency must not see it

    images = options.images or _data(options) / "test" / "good"
    return measure_engines(options, images, console)


def _soak(options: argparse.Namespace, console: Console) -> Soak:
    from tools.benchmark.soak import measure_soak  # latency must not see its sqlite and threads in its peak memory
    from tools.benchmark.stand_in_engine import StandInEngine, stand_in_slot

    if options.out:
        require_folder(options.out)
    common = (options.parts, options.faults, options.rate, options.seed, options.out, console)
    if options.bundle is None:
        stand_in, slot = StandInEngine(), stand_in_slot()
        stand_in.bind(slot.tensors)
        return measure_soak(stand_in, slot, station_view(StationConfig(), stand_in.shape), *common)
    bundle = open_bundle(options.bundle)
    view = station_view(load_station(station_path(options.station)), bundle.manifest.graph)
    with open_chosen_engine(bundle, options, observer=ConsoleObserver(console)) as engine:
        slot = SlotStore(state_path(options.state, bundle.path), bundle).current(options.precision, engine.runtime, view.view)
        engine.bind(slot.tensors)
        return measure_soak(engine, slot, station_view(StationConfig(), engine.shape), *common)


def _page(options: argparse.Namespace) -> PageViewers:
    from tools.benchmark.page_viewers import measure_page_viewers

    bundle = open_bundle(bundle_path(options.bundle))
    store = SlotStore(state_path(options.state, bundle.path), bundle)
    return measure_page_viewers(store, options.images, options.viewers, options.pairs, options.parts, options.every_ms / 1000)


def _data(options: argparse.Namespace) -> Path:
    value = options.data or os.environ.get(DATA_VARIABLE)
    if not value:
        raise ConfigError(f"expected a set of images: give --data DIR, or set {DATA_VARIABLE}")
    return Path(value)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    add_engine_flags(common)
    common.add_argument(
        "--data", type=Path, help=f"a set, or with --out a folder of sets, in MVTec's layout; default: {DATA_VARIABLE}"
    )
    training = argparse.ArgumentParser(add_help=False)
    training.add_argument("--config", type=Path, help="YAML of training options, as edge-train takes it; default: the defaults")
    out_help = "train, export and calibrate each set in this folder, and write the report there; a finished training is kept"
    parser = argparse.ArgumentParser("edge-bench", description=__doc__)
    kinds = parser.add_subparsers(dest="what", required=True)
    accuracy = kinds.add_parser("accuracy", parents=[common, training], help="AUROC, false rejects, misses and pixel figures")
    accuracy.add_argument("--out", type=Path, help=out_help + "; without it, --bundle is measured")
    robustness = kinds.add_parser("robustness", parents=[common, training], help="with bad training images, and disturbed pictures")
    robustness.add_argument("--out", type=Path, required=True, help=out_help)
    latency = kinds.add_parser("latency", parents=[common], help="p50 and p99 of each stage, peak memory")
    latency.add_argument("--images", type=Path, help="folder of images to inspect; default: test/good of the data")
    latency.add_argument("--frames", type=whole_number(1), default=300, help="frames to count (default: %(default)s)")
    engines = kinds.add_parser("engines", help="every precision and runtime of this machine: time, memory, energy, accuracy")
    add_bundle_flags(engines)
    add_station_flag(engines)
    engines.add_argument("--data", type=Path, help=f"a set in MVTec's layout, for its images; default: {DATA_VARIABLE}")
    engines.add_argument("--images", type=Path, help="folder of images to time; default: test/good of the data")
    engines.add_argument("--labelled", type=Path, help="a set in MVTec's layout, for the accuracy; default: none is measured")
    engines.add_argument("--out", type=Path, help="folder for engines.json, .md and .png; default: none is written")
    engines.add_argument("--rounds", type=whole_number(4), default=30, help="turns of each engine (default: %(default)s)")
    engines.add_argument("--calls", type=whole_number(1), default=10, help="calls a turn (default: %(default)s)")
    add_running_flags(engines)
    both = kinds.add_parser("complementarity", help="whether L1 and L2 cover for each other, over sets, seeds and regularisers")
    both.add_argument("--data", type=Path, help=f"folder of sets, each with train/good and test/…; default: {DATA_VARIABLE}")
    both.add_argument("--out", type=Path, required=True, help="folder for the report; a trial that it holds is not run again")
    both.add_argument("--seeds", type=whole_number(1, 1000), default=5, help="trainings of each (default: %(default)s)")
    both.add_argument("--regularisers", default="projection,none", help="of the decoder, by commas (default: %(default)s)")
    both.add_argument("--sets", help="names of sets, by commas; default: all")
    both.add_argument("--steps", type=whole_number(1, 1_000_000), help="training steps; default: the trainer's")
    both.add_argument("--limit", type=whole_number(5), help="most images of each kind and source; default: all, and 60 synthetic")
    promise = kinds.add_parser("calibration", help="whether the promise of a calibration is kept, simulated and on real sets")
    promise.add_argument("--out", type=Path, required=True, help="folder for calibration.md, .json and .png")
    promise.add_argument(
        "--bundles", nargs="*", default=[], metavar="NAME=PATH", help="a set of --data and the bundle trained on it"
    )
    promise.add_argument("--data", type=Path, help=f"folder of sets, each with train/good and test/…; default: {DATA_VARIABLE}")
    promise.add_argument("--runs", type=whole_number(10), default=10_000, help="simulated calibrations each (default: %(default)s)")
    promise.add_argument(
        "--slow-runs", type=whole_number(10), default=1_000, help="of those that cross-fit or fit a tail (default: %(default)s)"
    )
    promise.add_argument("--cost", action="store_true", help="also what calibrate takes on each of --bundles, against one pass")
    promise.add_argument("--threads", type=whole_number(0, MOST_THREADS), default=0, help="CPU threads of the engine")
    soak = kinds.add_parser("soak", help="the stages of a line with triggers for many parts: is every one accounted for?")
    add_engine_flags(soak)
    soak.add_argument("--parts", type=whole_number(10, 100_000_000), default=100_000, help="how many (default: %(default)s)")
    soak.add_argument("--faults", action="store_true", help="also camera, engine and trigger faults, by a seeded script")
    soak.add_argument("--rate", type=_rate, help="triggers a second; default: as fast as verdicts come and parts may follow")
    soak.add_argument("--seed", type=whole_number(0), default=0, help="of the script (default: %(default)s)")
    soak.add_argument("--out", type=Path, help="folder for soak.json and soak.md; default: none is written")
    page = kinds.add_parser("page", help="what open live pages of the operator page cost a part, in the program itself")
    add_bundle_flags(page)
    page.add_argument("--images", type=Path, required=True, help="folder of pictures that the camera shows, again and again")
    page.add_argument("--viewers", type=whole_number(1, 16), default=5, help="live pages (default: %(default)s)")
    page.add_argument("--pairs", type=whole_number(2, 1000), default=6, help="blocks without and with (default: %(default)s)")
    page.add_argument("--parts", type=whole_number(5, 100_000), default=60, help="of one block (default: %(default)s)")
    page.add_argument("--every-ms", type=whole_number(10, 60_000), default=400, help="from part to part (default: %(default)s)")
    plant = kinds.add_parser("plant", help="a soak with every protocol of the plant beside it, peers that are away, plants killed")
    plant.add_argument("--parts", type=whole_number(10, 100_000_000), default=20_000, help="how many (default: %(default)s)")
    plant.add_argument("--rate", type=_rate, default=50.0, help="triggers a second (default: %(default)s)")
    plant.add_argument("--seed", type=whole_number(0), default=0, help="of the script (default: %(default)s)")
    plant.add_argument(
        "--pairs", type=whole_number(0, 1000), default=10, help="short runs, with and without (default: %(default)s)"
    )
    plant.add_argument("--out", type=Path, help="folder for plant.json and plant.md; default: none is written")
    drift = kinds.add_parser("drift", help="false alarms and delays of the drift monitor, on simulated lines; half an hour")
    drift.add_argument("--out", type=Path, required=True, help="folder for the report")
    drift.add_argument("--runs", type=whole_number(1, 100_000), default=40, help="lines without a change (default: %(default)s)")
    return parser


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 1000:
        raise argparse.ArgumentTypeError(f"expected parts a second, more than 0 and at most 1000, got {text!r}")
    return rate


if __name__ == "__main__":
    sys.exit(main())
