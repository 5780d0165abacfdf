"""Other images, mostly of defective parts, judged at the threshold just derived. They tune nothing; they show what is missed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from calibration.run_normal_images import Progress
from calibration.session_folders import LABELLED, survey_inner_folders
from edge.decision import decide
from edge.engines.base import Engine
from edge.errors import ConfigError, ImageError
from edge.line.station_view import StationView
from edge.pictures.image_file import Survey, read_image
from edge.slots.calibration_tensors import Array
from edge.slots.slot_record import CheckCount
from edge.verdict import Outcome, Scores

GOOD = "good"
"""A folder of this name holds good parts, as in a labelled set; all others hold defective ones."""
DIRECT = "."
"""Of images that lie directly in the folder."""


@dataclass(frozen=True, slots=True)
class CheckedImage:
    """One image. group: its folder. rejected: a FAULT rejects, too. anomaly_map: kept where the verdict is wrong, else None."""

    path: Path
    sha256: str
    group: str
    rejected: bool
    scores: Scores
    anomaly_map: Array | None

    @property
    def wrong(self) -> bool:
        """A defective part that passes, or a good one that is rejected."""
        return self.rejected == (self.group == GOOD)


@dataclass(frozen=True)
class Checked:
    """All of them, by folder and path. skipped: one line for each that could not be judged."""

    images: list[CheckedImage]
    skipped: list[str]

    def groups(self) -> dict[str, list[CheckedImage]]:
        """By folder."""
        groups: dict[str, list[CheckedImage]] = defaultdict(list)
        for image in self.images:
            groups[image.group].append(image)
        return dict(groups)

    def counts(self) -> dict[str, CheckCount]:
        """What the slot's record keeps; names that are not UTF-8 are spelt out."""
        return {
            group.encode("utf-8", "backslashreplace").decode(): CheckCount(
                images=len(images), rejected=sum(image.rejected for image in images)
            )
            for group, images in self.groups().items()
        }

    @property
    def defective(self) -> list[CheckedImage]:
        """All but those in a folder of good parts."""
        return [image for image in self.images if image.group != GOOD]

    @property
    def wrong(self) -> list[CheckedImage]:
        """The missed first, the lowest score first; then the good ones rejected, the highest score first."""
        return sorted(
            (image for image in self.images if image.wrong),
            key=lambda image: (image.rejected, -image.scores.score if image.rejected else image.scores.score),
        )


def survey_check(folder: Path, progress: Callable[[int, int], None]) -> Survey:
    """Decode all images of ``folder`` and the folders in it; raises ImageError where there is none that can be read."""
    for name in LABELLED:
        if (folder / name).is_dir():
            raise ImageError(
                f"{folder}: expected pictures of defective parts, found {name!r} of a labelled set; name {folder / 'test'}"
            )
    survey = survey_inner_folders(folder, 1.0, progress)
    if not survey.files:
        raise ImageError(f"{folder}: none of its images can be read; the first: {survey.skipped[0]}")
    return survey


def check_images(engine: Engine, view: StationView, survey: Survey, threshold: float, progress: Progress) -> Checked:
    """Judge each image of ``survey`` by the bound calibration, as ``edge-inspect`` would."""
    images, skipped = [], list(survey.skipped)
    for path, digest in sorted(survey.files):
        try:
            picture = view.preprocess(read_image(path).image)
        except (ImageError, ConfigError) as error:
            skipped.append(f"{path}: {error}")
            progress()
            continue
        inference = engine.infer(picture)
        rejected = decide(inference.scores, threshold)[0] is not Outcome.PASS
        group = survey.sessions.get(digest, "") or DIRECT
        wrong = rejected == (group == GOOD)
        images.append(
            CheckedImage(path, digest, group, rejected, inference.scores, inference.anomaly_map.copy() if wrong else None)
        )
        progress()
    return Checked(sorted(images, key=lambda image: (image.group, image.path)), skipped)


def check_table(checked: Checked) -> Table:
    """A row for each folder, for the console."""
    table = Table("checked", box=None)
    for heading in ("images", "rejected", "missed"):
        table.add_column(heading, justify="right")
    for group, images in checked.groups().items():
        rejected = sum(image.rejected for image in images)
        missed = "good parts" if group == GOOD else str(len(images) - rejected)
        table.add_row(group.replace("[", r"\["), str(len(images)), str(rejected), missed)
    return table
