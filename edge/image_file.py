"""Reading image files and folders without being fooled by half a file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge.errors import ImageError
from edge.frame import Image

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


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
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    if image is None or image.dtype != np.uint8:
        raise ImageError(f"{path}: expected an image ({', '.join(IMAGE_SUFFIXES)}), could not decode it; remove or replace it")
    return ImageFile(path, np.asarray(image, np.uint8), hashlib.sha256(content).hexdigest())


def list_images(folder: Path) -> list[Path]:
    """The image files directly in ``folder``, by name; raises ImageError where there are none."""
    if not folder.is_dir():
        raise ImageError(f"{folder}: expected a folder of images, there is none; check the path")
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    if not paths:
        inner = sorted(p.name for p in folder.iterdir() if p.is_dir())
        hint = f"it has folders ({', '.join(inner[:5])}): name one of them" if inner else "put images there"
        raise ImageError(f"{folder}: expected images ({', '.join(IMAGE_SUFFIXES)}), found none; {hint}")
    return paths


def _is_truncated(content: bytes) -> bool:
    if content.startswith(b"\xff\xd8"):  # JPEG ends with EOI; some cameras pad with zeros behind it
        return not content.rstrip(b"\x00").endswith(b"\xff\xd9")
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"IEND" not in content[-64:]
    if content.startswith(b"BM") and len(content) >= 6:
        return len(content) < int.from_bytes(content[2:6], "little")
    return False
