"""A calibration in words, for the person who ran it."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from calibration.before_after import BeforeAfter
from calibration.derive import Derived
from calibration.normal_images import Jobs
from edge.graph_contract import FeatureGroup
from edge.pictures.image_file import Survey
from edge.slots.slot_record import Promise

MOST_LINES = 20
"""Of suspects; a folder of another part would fill the screen."""

KINDS = {
    "exact": "",
    "approximate": "; approximate: with so few images the jobs are cross-fitted",
    "extrapolated": "; extrapolated: beyond the images, by a fit to the tail of their scores, which nothing here can prove",
}


def promise_words(promise: Promise) -> str:
    """The promise as one sentence."""
    words = f"at most {promise.false_reject_rate:.2%} of good parts will be rejected, with {promise.confidence:.0%} confidence"
    return words + KINDS[promise.kind]


def print_summary(
    console: Console,
    groups: list[FeatureGroup],
    jobs: Jobs,
    derived: Derived,
    survey: Survey,
    dropped: int,
    before_after: BeforeAfter | str,
) -> None:
    """What was derived from what, what it promises, and what a person should look at."""
    table = Table(show_header=False, box=None)
    table.add_row("C", f"{jobs.center_source} ({', '.join(f'{group.channels} channels {group.norm}' for group in groups)})")
    weights = derived.tensors["feature_weight"][0], derived.tensors["reconstruction_weight"][0]
    source = f"{len(jobs.weights)} images" if jobs.weights else "the bundle"
    table.add_row("λ1, λ2", f"{weights[0]:.4g}, {weights[1]:.4g} from {source}")
    table.add_row("threshold", f"{derived.threshold:.6g} from {len(jobs.threshold)} images{_folds(jobs)}")
    table.add_row("promise", promise_words(derived.promise))
    if jobs.passed_over or survey.duplicates or survey.repeats or survey.skipped or dropped:
        kinds = (
            (jobs.passed_over, "the training saw"),
            (survey.duplicates, "duplicates"),
            (survey.repeats, "of a part that others show"),
            (len(survey.skipped), "unreadable"),
            (dropped, "suspects"),
        )
        table.add_row("passed over", ", ".join(f"{count} {what}" for count, what in kinds if count))
    console.print(table, highlight=False)
    if isinstance(before_after, BeforeAfter):
        console.print(f"before and after: {before_after.describe()}", markup=False, highlight=False, soft_wrap=True)
    for line in _warnings(derived):
        console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)


def _folds(jobs: Jobs) -> str:
    if jobs.folds is None:
        return ""
    if jobs.folds.by_session:
        return f", in {jobs.folds.count} folds of whole sessions"
    single = jobs.folds.count == len(jobs.threshold)
    return ", each left out by itself" if single else f", in {jobs.folds.count} folds"


def session_lines(derived: Derived) -> list[str]:
    """One for each session that is shifted."""
    return [
        f"session {one.session or '(none)'}: {one.above_others} of {one.images} images lie above the threshold "
        f"that the other sessions would set (chance {one.chance:.1g}); the promise covers such days only as far as they are "
        "among the images as often as in use"
        for one in derived.sessions
        if one.shifted
    ]


def _warnings(derived: Derived) -> list[str]:
    """Sessions first, then suspects."""
    lines = session_lines(derived)
    suspects = derived.suspects
    lines += [f"suspect {image.path}: {'; '.join(image.suspect)}" for image in suspects[:MOST_LINES]]
    if len(suspects) > MOST_LINES:
        lines.append(f"and {len(suspects) - MOST_LINES} more suspects")
    if suspects:
        lines.append(
            "look at the suspects: a bad part among the good ones raises the threshold; remove them, or give --drop-suspects"
        )
    return lines
