"""report.html of a calibration: one file to open in any browser and to keep, with every picture inside it."""

from __future__ import annotations

import base64
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from calibration.before_after import BeforeAfter
from calibration.calibration_summary import promise_words, session_lines
from calibration.check_images import GOOD, Checked
from calibration.derive import Derived
from calibration.normal_images import Jobs
from calibration.report_page import PAGE
from calibration.shown_images import Gallery
from edge.line.station_view import View
from edge.pictures.image_file import Survey
from edge.slots.slot_record import PromiseKind
from edge.slots.slot_summary import JOBS

REPORT = "report.html"
PROMISE_NOTES: dict[PromiseKind, str] = {
    "exact": "This holds for good parts like those in the folder: same product, light, camera and place. "
    "No image that set the threshold had any other part in the calibration.",
    "approximate": "The images are few, so each was scored by statistics from the others instead of being kept apart. The "
    "promise is nearly, not exactly, kept for good parts like those in the folder; more images make it exact.",
    "extrapolated": "The rate is beyond what the images can support: the tail of their scores was fitted, and nothing in them "
    "proves that it goes on as it begins. Give more images before relying on it.",
}
QUALITY = ("brightness", "saturation", "sharpness")


@dataclass(frozen=True)
class Findings:
    """All that is told. record: the fields of slot.yaml that calibrate gives. serial: None where no slot is written."""

    record: dict[str, Any]
    serial: int | None
    source: Path
    bundle: Path
    survey: Survey
    jobs: Jobs
    derived: Derived
    before_after: BeforeAfter | str
    checked: Checked | None
    gallery: Gallery
    histogram: bytes


@dataclass(frozen=True)
class _Quality:
    name: str
    median: str
    low: str
    high: str
    lowest: str
    highest: str


def render_report(found: Findings) -> bytes:
    """The page, UTF-8; a name that is not UTF-8 has its bytes spelt out."""
    derived, checked = found.derived, found.checked
    number = "" if found.serial is None else f" {found.serial}"
    medians: dict[str, list[float]] = defaultdict(list)
    for image in derived.judged:
        medians[image.session].append(image.score)
    calibrated = {image.sha256 for image in derived.images}
    page = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(PAGE)
    text = page.render(
        title=f"Calibration{number} of {found.record['model_id']}{' (dry run)' if found.serial is None else ''}",
        promise=promise_words(derived.promise).capitalize(),
        promise_note=PROMISE_NOTES[derived.promise.kind],
        warnings=session_lines(derived),
        facts=_facts(found),
        histogram=base64.b64encode(found.histogram).decode(),
        folds=found.jobs.folds is not None,
        before_after=_sentence(found.before_after),
        sessions=[(one, float(np.median(medians[one.session]))) for one in derived.sessions],
        checked=[(group, count, group == GOOD) for group, count in checked.counts().items()] if checked else [],
        checked_normal=sum(image.sha256 in calibrated for image in checked.images) if checked else 0,
        pictures=found.gallery,
        quality=[_quality(derived, name) for name in QUALITY],
        skipped=[*found.survey.skipped, *(checked.skipped if checked else [])],
    )
    return text.encode("utf-8", "backslashreplace")


def _facts(found: Findings) -> list[tuple[str, str]]:
    record, derived, size = found.record, found.derived, found.record["frame_size"]
    weights = (float(derived.tensors[name][0]) for name in ("feature_weight", "reconstruction_weight"))
    groups = ", ".join(f"{float(weight):.4g}" for weight in derived.tensors["group_weight"])
    jobs = ", ".join(f"{len(files)} for {JOBS.get(job, job)}" for job, files in record["images"].items())
    passed_over = (
        (found.jobs.passed_over, "that the training saw"),
        (found.survey.duplicates, "duplicates"),
        (found.survey.repeats, "of a part that others show"),
        (len(found.survey.skipped), "unreadable"),
        (len(record["dropped"]), "suspects, left out"),
    )
    return [
        ("threshold", f"{record['threshold']:.6g}"),
        ("images", f"{jobs}; from {found.source}"),
        ("passed over", ", ".join(f"{count} {what}" for count, what in passed_over if count) or "none"),
        ("C", record["center_source"]),
        ("λ1, λ2", ", ".join(f"{weight:.4g}" for weight in weights) + f"; weights in L1: {groups}"),
        ("made", f"{record['created']} by {record['operator']}"),
        ("bundle", f"{found.bundle}, {record['precision']} model sha256 {record['model_sha256'][:12]}"),
        ("runtime", record["runtime"]),
        ("view", f"{View.model_validate(record['view']).describe()}, images of {_size(size)}"),
    ]


def _size(size: list[int] | None) -> str:
    return "various sizes" if size is None else f"{size[0]}×{size[1]} pixels"


def _sentence(before_after: BeforeAfter | str) -> str:
    words = before_after if isinstance(before_after, str) else before_after.describe()
    return words[0].upper() + words[1:]


def _quality(derived: Derived, name: str) -> _Quality:
    images = sorted(derived.images, key=lambda image: float(getattr(image, name)))
    values = np.array([getattr(image, name) for image in images])
    low, median, high = (f"{value:.4g}" for value in np.quantile(values, (0.01, 0.5, 0.99)))
    ends = (f"{getattr(image, name):.4g} {image.path.name}" for image in (images[0], images[-1]))
    return _Quality(name, median, low, high, *ends)
