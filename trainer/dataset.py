"""The normal images of a training run: found, read, split by content."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.errors import ImageError
from edge.pictures.image_file import survey_images

MINIMUM_IMAGES = 10
HELD_OUT_PART = 5


@dataclass(frozen=True)
class NormalImages:
    """Paths and content hashes. ``learned`` are trained on; ``held_out``, a fifth chosen by hash, never."""

    learned: list[tuple[Path, str]]
    held_out: list[tuple[Path, str]]
    skipped: list[str]

    @property
    def learned_digests(self) -> list[str]:
        """Content hashes of the images trained on."""
        return [digest for _, digest in self.learned]

    @property
    def held_out_digests(self) -> list[str]:
        """Content hashes of the images held out."""
        return [digest for _, digest in self.held_out]


def find_normal_images(folder: Path, max_bad_share: float) -> NormalImages:
    """Read ``folder/train/good`` where it exists, else ``folder``; every file is decoded once to see that it is whole.

    Duplicates (same bytes) count once; the split is by content hash, whatever files are called. Raises ImageError
    where too few are left or too many are unreadable.
    """
    good = folder / "train" / "good"
    survey = survey_images(good if good.is_dir() else folder, max_bad_share)
    if len(survey.files) < MINIMUM_IMAGES:
        raise ImageError(
            f"{folder}: training needs at least {MINIMUM_IMAGES} different normal images, found {len(survey.files)}; add more"
        )
    held_out = [one for one in survey.files if int(one[1][:8], 16) % HELD_OUT_PART == 0] or survey.files[:1]
    learned = [one for one in survey.files if one not in held_out]
    return NormalImages(learned, held_out, survey.skipped)
