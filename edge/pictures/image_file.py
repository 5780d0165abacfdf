"""Reading image files and folders without being fooled by half a file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from edge.errors import ImageError
from edge.frame import Image

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
SESSION_FILE = "session.yaml"
CONTACT_SHEET = "contact.png"
"""Beside a session's record this one shows all of its pictures, and is none of them."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A decoded file. image: uint8 H×W×3, BGR. sha256: of the file's bytes, its identity everywhere."""

    path: Path
    image: Image
    sha256: str


def read_image(path: Path) -> ImageFile:
    """Decode one file to BGR (grey and 16-bit ones are converted); raises ImageError if it is not whole.

    OpenCV returns a truncated JPEG as a picture with a grey rest, so the file's own end mark is checked first.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror}; check the path and its permissions") from error
    if _is_truncated(content):
        raise ImageError(f"{path}: the file is truncated ({len(content)} bytes); copy it again")
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    except cv2.error as error:  # for instance larger than OpenCV allows
        raise ImageError(f"{path}: OpenCV refuses it ({error.err or error}); remove or replace it") from error
    if image is None or image.dtype != np.uint8:
        raise ImageError(f"{path}: expected an image ({', '.join(IMAGE_SUFFIXES)}), could not decode it; remove or replace it")
    return ImageFile(path, np.asarray(image, np.uint8), hashlib.sha256(content).hexdigest())


def list_images(folder: Path) -> list[Path]:
    """The image files directly in ``folder``, by name; raises ImageError where there are none."""
    if not folder.is_dir():
        raise ImageError(f"{folder}: expected a folder of images, there is none; check the path")
    left_out = {CONTACT_SHEET} if (folder / SESSION_FILE).is_file() else set()
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.name not in left_out and p.is_file())
    if not paths:
        inner = sorted(p.name for p in folder.iterdir() if p.is_dir())
        hint = f"it has folders ({', '.join(inner[:5])}): name one of them" if inner else "put images there"
        raise ImageError(f"{folder}: expected images ({', '.join(IMAGE_SUFFIXES)}), found none; {hint}")
    return paths


@dataclass(frozen=True, slots=True)
class Survey:
    """What a folder holds. files: (path, sha256) of each different whole image, by hash, so that names do not matter.

    skipped: one line for each file that is not a whole image. duplicates: how many files had the bytes of another. repeats: how
    many were left out since they show a still part once more.
    frame_size: [width, height] where all images have the same. sessions: sha256 → the session an image was taken in, where known.
    """

    files: list[tuple[Path, str]]
    skipped: list[str]
    duplicates: int
    frame_size: list[int] | None = None
    sessions: Mapping[str, str] = field(default_factory=dict)
    repeats: int = 0

    def without(self, digests: set[str]) -> Survey:
        """The same without these images."""
        return replace(self, files=[one for one in self.files if one[1] not in digests])


def survey_images(folder: Path, max_bad_share: float, progress: Callable[[int, int], None] | None = None) -> Survey:
    """``survey_files`` of the images directly in ``folder``."""
    return survey_files(folder, list_images(folder), max_bad_share, progress)


def survey_files(
    folder: Path,
    paths: list[Path],
    max_bad_share: float,
    progress: Callable[[int, int], None] | None = None,
    seen_by: Callable[[ImageFile], None] | None = None,
) -> Survey:
    """Decode each of ``paths``, all in ``folder``, once; raises ImageError where more than ``max_bad_share`` are not whole.

    seen_by: gets each whole one.
    """
    seen: dict[str, Path] = {}
    skipped = []
    sizes = set()
    for index, path in enumerate(paths):
        try:
            read = read_image(path)
            seen.setdefault(read.sha256, path)
            sizes.add((read.image.shape[1], read.image.shape[0]))
            if seen_by is not None:
                seen_by(read)
        except ImageError as error:
            skipped.append(str(error))
        if progress is not None:
            progress(index + 1, len(paths))
    if len(skipped) > max_bad_share * len(paths):
        raise ImageError(
            f"{folder}: {len(skipped)} of {len(paths)} images cannot be read, more than the {max_bad_share:.0%} allowed; "
            f"the first: {skipped[0]}"
        )
    files = [(path, digest) for digest, path in sorted(seen.items())]
    return Survey(files, skipped, len(paths) - len(skipped) - len(files), list(sizes.pop()) if len(sizes) == 1 else None)


def _is_truncated(content: bytes) -> bool:
    if content.startswith(b"\xff\xd8"):  # JPEG ends with EOI; some cameras pad with zeros behind it
        return not content.rstrip(b"\x00").endswith(b"\xff\xd9")
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"IEND" not in content[-64:]
    if content.startswith(b"BM") and len(content) >= 6:
        return len(content) < int.from_bytes(content[2:6], "little")
    return False
