"""edge-demo: images made here, through the whole chain: train → export → calibrate → inspect, with the recording GPIO."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from rich.console import Console

from edge.bundle import open_bundle
from edge.console.exit_code import reported
from edge.engines.open_engine import open_engine
from edge.errors import EdgeInspectError
from edge.line.station_view import station_view
from edge.pictures.image_file import list_images
from edge.slots.calibration_slot import SlotStore
from edge.station_config import StationConfig
from tools.demo_images import make_demo_images
from tools.demo_report import cases_picture, read_verdicts, summary


class StepFailedError(EdgeInspectError):
    """A command of the chain did not succeed; it has said why."""


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    with reported("edge-demo", console) as outcome:
        if options.what == "images":
            make_demo_images(options.out, options.seed, options.train, options.test, options.each)
            console.print(f"images: {options.out}", highlight=False, soft_wrap=True)
        else:
            run_chain(options, console)
    return outcome.code


def run_chain(options: argparse.Namespace, console: Console) -> None:
    """Every step is the command a user would type, in a process of its own; what stands already is not made again."""
    out: Path = options.out
    images, run, bundle, verdicts = out / "images", out / "run", out / "bundle", out / "verdicts.jsonl"
    if not images.is_dir():
        console.rule("1 · images")
        make_demo_images(images, options.seed, options.train, options.test, options.each)
    console.rule("2 · edge-train")
    steps = ["--steps", str(options.steps)] if options.steps else []
    _command("trainer.cli", str(images), "--out", str(run), *steps)
    if not bundle.is_dir():
        console.rule("3 · edge-export")
        _command("tools.export_cli", str(run), "--out", str(bundle))
    console.rule("4 · calibrate")
    state = ["--state", str(out)]
    _command(
        "calibration.cli", str(images / "train" / "good"), "--bundle", str(bundle), *state, "--report", str(out / "histogram.png")
    )
    console.rule("5 · edge-inspect")
    kinds = _line_of_parts(images, out / "line", options.seed)
    verdicts.unlink(missing_ok=True)
    source = ["--camera", f"file://{out / 'line'}", "--gpio", "recording", "--verdicts", str(verdicts)]
    _command("edge.cli", *source, "--bundle", str(bundle), *state)
    parts = read_verdicts(verdicts, kinds)
    table, figures = summary(parts)
    opened = open_bundle(bundle)
    view = station_view(StationConfig(), opened.manifest.graph)
    with open_engine(opened) as engine:
        slot = SlotStore(out, opened).current("fp32", engine.runtime, view.view)
        engine.bind(slot.tensors)
        cases_picture(parts, engine, view, out / "cases.png")
    console.rule("result")
    console.print(table)
    console.print(f"pictures: {out / 'cases.png'}, {out / 'histogram.png'}", highlight=False, soft_wrap=True)
    print(json.dumps(figures))


def _line_of_parts(images: Path, line: Path, seed: int) -> dict[str, str]:
    """Put all test images into one folder in a shuffled order, as parts come along; returns file name → kind."""
    tests = [(folder.name, path) for folder in sorted((images / "test").iterdir()) for path in list_images(folder)]
    shutil.rmtree(line, ignore_errors=True)
    line.mkdir()
    kinds = {}
    for number, index in enumerate(np.random.default_rng(seed).permutation(len(tests))):
        kind, path = tests[index]
        name = f"part{number:04d}.png"
        (line / name).symlink_to(path.resolve())
        kinds[name] = kind
    return kinds


def _command(module: str, *arguments: str) -> None:
    # The station file of this machine, if it has one, is none of the demo's business.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("EDGE_INSPECT_")}
    code = subprocess.run([sys.executable, "-m", module, *arguments], env=environment, check=False).returncode
    if code:
        raise StepFailedError(f"the step above failed with exit code {code}; its message says why")


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--out", type=Path, required=True, help="folder to write to")
    common.add_argument("--seed", type=int, default=0)
    common.add_argument("--train", type=int, default=160, help="good images to learn from (default: %(default)s)")
    common.add_argument("--test", type=int, default=40, help="good images to test with (default: %(default)s)")
    common.add_argument("--each", type=int, default=8, help="images of each of the nine anomalies (default: %(default)s)")
    parser = argparse.ArgumentParser("edge-demo", description=__doc__)
    kinds = parser.add_subparsers(dest="what", required=True)
    kinds.add_parser("images", parents=[common], help="make the images only")
    run = kinds.add_parser("run", parents=[common], help="make the images and run the whole chain")
    run.add_argument("--steps", type=int, help="training steps; default: the trainer's")
    return parser


if __name__ == "__main__":
    sys.exit(main())
