"""Defective parts among the normal images, unnoticed: which ones, and the folder that a training then sees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edge.errors import ImageError
from edge.pictures.image_file import list_images
from edge.storage.durable_files import new_folder
from tools.benchmark.labelled_set import LabelledSet

SHARE = 0.05
SEED = 0


@dataclass(frozen=True)
class Contamination:
    """``kept`` good images and ``added`` defective ones to learn from; ``scored``: the set without the added, without masks."""

    kept: list[Path]
    added: list[Path]
    scored: LabelledSet

    def write(self, folder: Path) -> None:
        """Make ``folder``/train/good anew, with links to the images; raises OutputError."""
        with new_folder(folder, replace=True) as beside:
            good = beside / "train" / "good"
            good.mkdir(parents=True)
            for number, path in enumerate((*self.kept, *self.added)):
                (good / f"{number:06d}{path.suffix}").symlink_to(path.resolve())


def contaminate(labelled: LabelledSet, share: float = SHARE, seed: int = SEED) -> Contamination:
    """Replace ``share`` of the training images, at least one, by defective test images drawn at random over all defects.

    Raises ImageError where no defective image would be left to score.
    """
    train = list_images(labelled.train_good)
    defective = [one for group in labelled.defects.values() for one in group]
    count = max(1, round(share * len(train)))
    if count >= len(defective):
        raise ImageError(
            f"{labelled.folder}: contaminating {len(train)} training images takes {count} defective ones and at least one more to "
            f"score, found {len(defective)}; add more to test/"
        )
    random = np.random.default_rng(seed)
    removed = {train[i] for i in random.choice(len(train), count, replace=False)}
    drawn = {defective[i].path for i in random.choice(len(defective), count, replace=False)}
    left = {name: [replace(one, mask=None) for one in group if one.path not in drawn] for name, group in labelled.defects.items()}
    scored = replace(labelled, defects={name: group for name, group in left.items() if group})
    return Contamination([path for path in train if path not in removed], sorted(drawn), scored)
