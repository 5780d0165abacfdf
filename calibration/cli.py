"""calibrate: normal images in, a calibration slot out. C, λ1, λ2 and the threshold come through the deployed engine."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from calibration.advise_cli import main as advise_main
from calibration.before_after import compare_with_active
from calibration.calibration_summary import print_summary
from calibration.capture import normal_images_folder
from calibration.check_images import Checked, check_images, check_table, survey_check
from calibration.derive import DEFAULT_BLEND, Derived, Wishes, derive
from calibration.image_result import ImageResult
from calibration.normal_images import CenterChoice, Jobs, assign_jobs
from calibration.other_product import LOOKED_AT, require_same_product
from calibration.progress import Bars, JsonLines, Progress
from calibration.report import REPORT, Findings, render_report
from calibration.score_histograms import histogram_png
from calibration.session_folders import survey_sessions
from calibration.shown_images import gallery, to_show
from calibration.slot_content import slot_content
from calibration.slot_references import reference_images
from calibration.still_parts import FEWEST, StillParts
from calibration.threshold import DEFAULT_CONFIDENCE, require_supported
from calibration.wider_precision import compare_with_wider
from edge.bundle import Bundle, open_bundle
from edge.capture.capture_cli import add_capture_flags
from edge.capture.capture_record import captured_settings
from edge.console.exit_code import reported
from edge.console.flags import add_engine_flags, add_operator_flag
from edge.engines.base import Engine
from edge.engines.build_observer import ConsoleObserver
from edge.engines.open_engine import open_chosen_engine
from edge.errors import ConfigError, OutputError
from edge.line.station_view import StationView, station_view
from edge.pictures.image_file import Survey
from edge.slots.calibration_slot import CalibrationSlot, SlotStore
from edge.station_config import load_station
from edge.storage.durable_files import write_file
from edge.storage.locations import bundle_path, state_path, station_path

HISTOGRAM = "histogram.png"
EPILOG = "calibrate advise verdicts.jsonl says whether calibrating again would help; a folder of that name is ./advise."
FRAMES = 200
LEAST_RATE = 1e-6
ALL_ALIKE = (
    "all pictures are alike to {:.1f} grey levels: they may show one still part again and again, and the promise holds for "
    "different parts only; see that each picture is of another one"
)


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code. ``advise`` as the first argument is a command of its own."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["advise"]:
        return advise_main(given[1:])
    options = _parser().parse_args(given)
    console = Console(stderr=True)
    with reported("calibrate", console) as outcome:
        calibrate(options, console)
    return outcome.code


def calibrate(options: argparse.Namespace, console: Console) -> CalibrationSlot | None:
    """Calibrate as ``options`` say; returns the new slot, active unless --no-activate, None with --dry-run."""
    center, wishes = _wishes(options)
    _require_place(options.report)
    bundle = open_bundle(bundle_path(options.bundle))
    station, state = load_station(station_path(options.station)), state_path(options.state, bundle.path)
    view = station_view(station, bundle.manifest.graph)
    store = SlotStore(state, bundle)
    lines = JsonLines() if options.progress == "json" else None
    normal_dir = normal_images_folder(options, station, state, console, lines)
    writing = nullcontext() if options.dry_run else store.writing()
    with writing, open_chosen_engine(bundle, options, observer=ConsoleObserver(console)) as engine:
        with lines or Bars(console) as progress:
            survey = _survey(normal_dir, options.max_bad_share, bundle, view, progress, console)
            to_check = _survey_check(options.check, progress)
            bundle.self_test(engine, options.precision)
            console.print(f"{options.precision} on {engine.runtime}", markup=False, highlight=False, soft_wrap=True)
            jobs, derived = _derive(bundle, engine, view, survey, center, wishes, progress)
            dropped: list[ImageResult] = []
            if options.drop_suspects and derived.suspects:
                dropped = derived.suspects
                for image in dropped:
                    _warn(console, f"dropped {image.path}: {'; '.join(image.suspect)}")
                fewer = survey.without({image.sha256 for image in dropped})
                jobs, derived = _derive(bundle, engine, view, fewer, center, wishes, progress)
            before_after = compare_with_active(
                store, engine, view, options.precision, derived, progress.steps("before", len(derived.judged))
            )
            engine.bind(derived.tensors)
            checked = None
            if to_check is not None:
                steps = progress.steps("check", len(to_check.files))
                checked = check_images(engine, view, to_check, derived.threshold, steps)
            steps = progress.steps("pictures", len(to_show(derived, dropped)))
            pictures = gallery(engine, view, derived, dropped, checked, steps)
            references = reference_images(engine, view, [path for path, _ in jobs.threshold])
            agreement = compare_with_wider(bundle, engine, options, view, derived, progress.steps, ConsoleObserver(console))
        title = f"{bundle.manifest.model_id} {options.precision} · {normal_dir}"
        histogram = histogram_png(derived, title, [image.scores for image in checked.defective] if checked else [])
        content = slot_content(
            bundle, engine, options.precision, view, survey, jobs, derived, dropped, checked,
            captured_settings(normal_dir), options.operator,
        )  # fmt: skip
        serial = None if options.dry_run else store.next_serial()
        page = render_report(
            Findings(content, serial, normal_dir, bundle.path, survey, jobs, derived, before_after, checked, pictures, histogram)
        )
        print_summary(console, view.shape.groups, jobs, derived, survey, len(dropped), before_after)
        if agreement is not None:
            console.print(str(agreement), markup=False, highlight=False, soft_wrap=True)
        if checked is not None:
            _print_check(console, checked, derived)
        if options.dry_run:
            _write_report(options.report, page, histogram)
            console.print("dry run: no slot was written")
            return None
        slot = store.add(content, derived.tensors, references, {REPORT: page, HISTOGRAM: histogram})
        if not options.no_activate:
            store.activate(slot, options.operator, f"calibrated from {normal_dir}")
    if lines is not None:
        lines.made(slot.record.serial, not options.no_activate)
    serial = slot.record.serial
    there = f"not active: edge-slots activate {serial} {store.flags}" if options.no_activate else f"active: {slot.path}"
    console.print(f"calibration {serial} is {there}", markup=False, highlight=False, soft_wrap=True)
    _write_report(options.report, page, histogram)  # a copy: what becomes of it changes nothing of what was said
    return slot


def _survey(
    normal_dir: Path, max_bad_share: float, bundle: Bundle, view: StationView, progress: Progress, console: Console
) -> Survey:
    """What the folder holds, each part once."""
    still = StillParts(view.region)
    survey = survey_sessions(normal_dir, max_bad_share, lambda done, total: progress("reading", done, total), still.add)
    for line in survey.skipped:
        _warn(console, f"skipped {line}")
    alike = still.find(set(bundle.manifest.learned_images))
    if alike.all_alike and len(survey.files) >= FEWEST:
        _warn(console, ALL_ALIKE.format(alike.median))
    return replace(survey.without(set(alike.repeats)), repeats=len(alike.repeats))


def _derive(
    bundle: Bundle, engine: Engine, view: StationView, survey: Survey, center: CenterChoice, wishes: Wishes, progress: Progress
) -> tuple[Jobs, Derived]:
    """Share out the images of ``survey``, see that they are of the bundle's product, and calibrate with them."""
    learned = set(bundle.manifest.learned_images)
    jobs = assign_jobs(survey, learned, center, wishes.rule, wishes.rate, wishes.confidence)
    require_supported(len(jobs.threshold), wishes.rate, wishes.confidence, wishes.accept)
    looked_at = min(len(jobs.threshold), LOOKED_AT)
    require_same_product(bundle, engine, view, jobs.threshold, progress.steps("product", looked_at))
    return jobs, derive(engine, view, bundle.start_calibration(), jobs, bundle.manifest.reliability, progress, wishes)


def _wishes(options: argparse.Namespace) -> tuple[CenterChoice, Wishes]:
    """What the flags say together; raises ConfigError where they contradict each other."""
    center: CenterChoice = options.center
    if options.blend is not None and center not in ("auto", "blend"):
        raise ConfigError(f"--blend and --center {center}: only --center blend has a share of the site; leave one of them out")
    if options.blend is not None:
        center = "blend"
    share = DEFAULT_BLEND if options.blend is None else options.blend
    return center, Wishes(options.false_reject_rate, options.confidence, options.weights, options.accept, share)


def _survey_check(folder: Path | None, progress: Progress) -> Survey | None:
    """Before anything is derived, so that a wrong folder costs no time."""
    if folder is None:
        return None
    return survey_check(folder, lambda done, total: progress("to check", done, total))


def _print_check(console: Console, checked: Checked, derived: Derived) -> None:
    console.print(check_table(checked), highlight=False)
    for line in checked.skipped:
        _warn(console, f"not checked: {line}")
    calibrated = {image.sha256 for image in derived.images}
    if both := sum(image.sha256 in calibrated for image in checked.images):
        _warn(console, f"{both} of the checked images are among the normal ones: one of the two folders is wrong about them")


def _warn(console: Console, line: str) -> None:
    console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)


def _require_place(report: Path | None) -> None:
    """Before anything is captured or derived; raises OutputError."""
    if report is not None and not (report.parent.is_dir() and os.access(report.parent, os.W_OK)):
        raise OutputError(f"--report {report}: expected a folder to write to, {report.parent} is none; make it, or choose another")


def _write_report(path: Path | None, page: bytes, histogram: bytes) -> None:
    if path is not None:
        write_file(path, histogram if path.suffix.lower() == ".png" else page)


def _report(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in (".html", ".png"):
        raise argparse.ArgumentTypeError(f"expected a file name that ends with .html or .png, got {text!r}")
    return path


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expected a share above 0 and below 1, got {text!r}")
    return value


def _rate(text: str) -> float:
    value = _share(text)
    if value < LEAST_RATE:
        raise argparse.ArgumentTypeError(f"expected a rate of {LEAST_RATE:f} or more, got {text!r}")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("calibrate", description=__doc__, epilog=EPILOG)
    parser.add_argument(
        "normal_dir", type=Path, nargs="?", help="folder of images of good parts, or of folders: one a session; or a recording"
    )
    add_engine_flags(parser)
    add_capture_flags(parser.add_argument_group("pictures from a camera instead of a folder"), FRAMES)
    parser.add_argument(
        "--false-reject-rate", type=_rate, help="the rate to promise; default: the best the images allow, not below 0.5 %%"
    )
    parser.add_argument(
        "--accept",
        action="store_true",
        help="where the images cannot support --false-reject-rate, extrapolate by a fit to the tail",
    )
    parser.add_argument(
        "--drop-suspects", action="store_true", help="leave out the images that look defective or mis-shot, and say so in the slot"
    )
    parser.add_argument("--confidence", type=_share, default=DEFAULT_CONFIDENCE, help="of the promise (default: %(default)s)")
    parser.add_argument(
        "--center",
        choices=("auto", "site", "bundle", "blend"),
        default="auto",
        help="whose images set C; blend updates the bundle's with the site's (default: %(default)s)",
    )
    parser.add_argument(
        "--blend",
        type=_share,
        metavar="SHARE",
        help=f"the site's share of --center blend, which it implies (default: {DEFAULT_BLEND})",
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
    parser.add_argument(
        "--check",
        type=Path,
        metavar="DEFECT_DIR",
        help="judge these images at the threshold and say which are missed; tunes nothing",
    )
    parser.add_argument("--report", type=_report, help="also write the report to this file: .html, or .png for the histogram alone")
    add_operator_flag(parser)
    parser.add_argument(
        "--no-activate", action="store_true", help="write the slot and leave the active one active; look at it first"
    )
    parser.add_argument("--progress", choices=("bars", "json"), default="bars", help="json: lines on stdout, for a program")
    parser.add_argument("--dry-run", action="store_true", help="derive and print, write no slot")
    return parser


if __name__ == "__main__":
    sys.exit(main())
