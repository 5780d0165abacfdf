"""A set of images in MVTec's layout: train/good, test/good, test/<defect> and, where there are masks, ground_truth/<defect>."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.errors import ImageError
from edge.pictures.image_file import IMAGE_SUFFIXES, list_images

GOOD = "good"


@dataclass(frozen=True)
class LabelledImage:
    """A picture of a defective part. mask: picture of the same size whose pixels above 0 are the defect; None where unknown."""

    path: Path
    mask: Path | None


@dataclass(frozen=True)
class LabelledSet:
    """The test images of ``folder``. defects: name of the folder → its images, at least one."""

    folder: Path
    good: list[Path]
    defects: dict[str, list[LabelledImage]]

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.resolve().name

    @property
    def train_good(self) -> Path:
        """The folder of normal images to learn from and to calibrate with."""
        return self.folder / "train" / GOOD

    @property
    def masks(self) -> int:
        """How many defective images have a mask."""
        return sum(one.mask is not None for group in self.defects.values() for one in group)

    def __len__(self) -> int:
        return len(self.good) + sum(len(group) for group in self.defects.values())


def open_labelled_set(folder: Path) -> LabelledSet:
    """List the test images of ``folder`` and find their masks.

    The mask of an image is the picture in ground_truth/<defect> named like the image's stem, or the stem and ``_mask``.
    Raises ImageError where there are no good or no defective images.
    """
    test = folder / "test"
    if not (test / GOOD).is_dir():
        raise ImageError(f"{folder}: expected the folders test/good and test/<defect>, there is no {test / GOOD}; correct --data")
    names = sorted(p.name for p in test.iterdir() if p.is_dir() and p.name != GOOD)
    if not names:
        raise ImageError(f"{test}: expected at least one folder of defects beside good; correct --data")
    defects = {name: _with_masks(list_images(test / name), folder / "ground_truth" / name) for name in names}
    return LabelledSet(folder, list_images(test / GOOD), defects)


def find_labelled_sets(folder: Path) -> list[LabelledSet]:
    """``folder`` itself where it has train/good and test, else every folder in it that has both, by name; raises ImageError."""
    if not folder.is_dir():
        raise ImageError(f"{folder}: expected a folder of sets, there is none; correct --data")
    if _is_set(folder):
        return [open_labelled_set(folder)]
    found = sorted(inner for inner in folder.iterdir() if inner.is_dir() and _is_set(inner))
    if not found:
        raise ImageError(f"{folder}: expected a set (train/good and test/…) or a folder of sets, found none; correct --data")
    return [open_labelled_set(inner) for inner in found]


def _is_set(folder: Path) -> bool:
    return (folder / "train" / GOOD).is_dir() and (folder / "test").is_dir()


def _with_masks(images: list[Path], truth: Path) -> list[LabelledImage]:
    files = sorted(truth.iterdir()) if truth.is_dir() else []
    by_stem = {path.stem: path for path in files if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()}
    return [LabelledImage(path, by_stem.get(path.stem) or by_stem.get(f"{path.stem}_mask")) for path in images]
