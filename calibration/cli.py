"""calibrate: normal images in, a calibration slot out. C, λ1, λ2 and the threshold come through the deployed engine."""

from __future__ import annotations

import argparse
import getpass
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from calibration.capture import normal_images_folder
from calibration.derive import Derived, derive
from calibration.normal_images import Jobs, assign_jobs
from calibration.report import histogram_png
from calibration.threshold import DEFAULT_CONFIDENCE
from edge.bundle import ReferenceImage, open_bundle
from edge.calibration_slot import CalibrationSlot, SlotStore
from edge.capture_cli import add_capture_flags
from edge.capture_record import captured_settings
from edge.durable_files import write_file
from edge.engines.open_engine import open_engine
from edge.exit_code import reported
from edge.flags import add_engine_flags
from edge.graph_contract import FeatureGroup
from edge.image_file import read_image, survey_images
from edge.locations import bundle_path, state_path, station_path
from edge.station_config import load_station
from edge.station_view import station_view

REPORT = "histogram.png"
FRAMES = 200
REFERENCES = 2
REFERENCE_TOLERANCE = 1e-3
"""Relative to the score: the same engine on the same machine agrees far better; another build of it may not."""


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    with reported("calibrate", console) as outcome:
        calibrate(options, console)
    return outcome.code


def calibrate(options: argparse.Namespace, console: Console) -> CalibrationSlot | None:
    """Calibrate as ``options`` say; returns the new, active slot, None with --dry-run."""
    bundle = open_bundle(bundle_path(options.bundle))
    station, state = load_station(station_path(options.station)), state_path(options.state, bundle.path)
    view = station_view(station, bundle.manifest.graph)
    store = SlotStore(state, bundle)
    normal_dir = normal_images_folder(options, station, state, console)
    columns = (TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with store.writing(), open_engine(bundle, options.precision, options.threads) as engine:
        with Progress(*columns, console=console, transient=True) as bars:
            task = bars.add_task("reading")
            survey = survey_images(
                normal_dir, options.max_bad_share, lambda done, total: bars.update(task, completed=done, total=total)
            )
            for line in survey.skipped:
                console.print(f"skipped {line}", style="yellow", markup=False, highlight=False, soft_wrap=True)
            bundle.self_test(engine)
            jobs = assign_jobs(survey, set(bundle.manifest.learned_images), options.center)
            derived = derive(
                engine, view, bundle.start_calibration(), jobs, bundle.manifest.reliability,
                lambda what, done, total: bars.update(task, description=what, completed=done, total=total),
                options.false_reject_rate, options.confidence, options.weights,
            )  # fmt: skip
        picture = histogram_png(derived, f"{bundle.manifest.model_id} {options.precision} · {normal_dir}")
        _print(console, view.shape.groups, jobs, derived, survey.duplicates, len(survey.skipped))
        if options.dry_run:
            _write_report(options.report, picture)
            console.print("dry run: no slot was written")
            return None
        settings = captured_settings(normal_dir)
        references = [
            (
                view.preprocess(read_image(path).image),
                ReferenceImage.of(f"reference{index}.npy", derived.scores[index], REFERENCE_TOLERANCE),
            )
            for index, (path, _) in enumerate(jobs.threshold[:REFERENCES])
        ]
        content = {
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "operator": options.operator,
            "model_id": bundle.manifest.model_id,
            "model_sha256": bundle.model_sha256(options.precision),
            "precision": options.precision,
            "runtime": engine.runtime,
            "view": view.view.model_dump(),
            "frame_size": survey.frame_size,
            "camera_settings": settings.model_dump() if settings is not None else None,
            "threshold": derived.threshold,
            "promise": derived.promise.model_dump(),
            "center_source": jobs.center_source,
            "images": {
                "center": [digest for _, digest in jobs.center],
                "weights": [digest for _, digest in jobs.weights],
                "threshold": [digest for _, digest in jobs.threshold],
            },
            "passed_over": jobs.passed_over,
            "baseline": {name: one.model_dump() for name, one in derived.baseline.items()},
        }
        slot = store.add(content, derived.tensors, references, {REPORT: picture})
        store.activate(slot)
        _write_report(options.report, picture)
    console.print(f"calibration {slot.record.serial} is active: {slot.path}", highlight=False, soft_wrap=True)
    return slot


def _print(console: Console, groups: list[FeatureGroup], jobs: Jobs, derived: Derived, duplicates: int, skipped: int) -> None:
    table = Table(show_header=False, box=None)
    table.add_row("C", f"{jobs.center_source} ({', '.join(f'{group.channels} channels {group.norm}' for group in groups)})")
    weights = derived.tensors["feature_weight"][0], derived.tensors["reconstruction_weight"][0]
    table.add_row("λ1, λ2", f"{weights[0]:.4g}, {weights[1]:.4g} from {len(jobs.weights)} images")
    table.add_row("threshold", f"{derived.threshold:.6g} from {len(jobs.threshold)} images")
    promise = derived.promise
    words = f"at most {promise.false_reject_rate:.2%} of good parts will be rejected, with {promise.confidence:.0%} confidence"
    if not promise.exact:
        words += "; approximate: with so few images λ1, λ2 and the threshold share them"
    table.add_row("promise", words)
    if jobs.passed_over or duplicates or skipped:
        table.add_row("passed over", f"{jobs.passed_over} the training saw, {duplicates} duplicates, {skipped} unreadable")
    console.print(table, highlight=False)


def _write_report(path: Path | None, picture: bytes) -> None:
    if path is not None:
        write_file(path, picture)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expected a share above 0 and below 1, got {text!r}")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("calibrate", description=__doc__)
    parser.add_argument("normal_dir", type=Path, nargs="?", help="folder of images of good parts, or a recording of them")
    add_engine_flags(parser)
    add_capture_flags(parser.add_argument_group("pictures from a camera instead of a folder"), FRAMES)
    parser.add_argument(
        "--false-reject-rate", type=_share, help="the rate to promise; default: the best the images allow, not below 0.5 %%"
    )
    parser.add_argument("--confidence", type=_share, default=DEFAULT_CONFIDENCE, help="of the promise (default: %(default)s)")
    parser.add_argument(
        "--center", choices=("auto", "site", "bundle"), default="auto", help="whose images set C (default: %(default)s)"
    )
    parser.add_argument(
        "--weights",
        choices=("spread", "mean", "bundle"),
        default="spread",
        help="rule for λ1, λ2; bundle keeps the trainer's (default: %(default)s)",
    )
    parser.add_argument(
        "--max-bad-share", type=_share, default=0.1, help="more unreadable images than this share stop it (default: %(default)s)"
    )
    parser.add_argument("--report", type=Path, help="also write the histogram to this PNG")
    parser.add_argument("--operator", default=_user(), help="who calibrates, for the record (default: %(default)s)")
    parser.add_argument("--dry-run", action="store_true", help="derive and print, write no slot")
    return parser


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a service account without a name
        return "unknown"


if __name__ == "__main__":
    sys.exit(main())
