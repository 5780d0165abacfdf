"""Small pictures of a session on one sheet, so that a person sees at a glance what does not belong."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge.errors import ImageError
from edge.frame import Image
from edge.pictures.image_file import read_image
from edge.pictures.image_quality import ImageQuality

COLUMNS = 10
TILE = 160
CAPTION = 20
TITLE = 32
MOST_TILES = 200
GROUND, INK, PALE = (255, 255, 255), (40, 40, 40), (130, 130, 130)


def contact_sheet(pictures: list[tuple[Path, ImageQuality]], title: str) -> bytes:
    """PNG with at most 200 of ``pictures``, evenly spread, each with its number, brightness and sharpness."""
    step = max(1, -(-len(pictures) // MOST_TILES))
    shown = pictures[::step]
    rows = -(-len(shown) // COLUMNS)
    columns = min(COLUMNS, max(6, len(shown)))
    sheet = np.full((TITLE + rows * (TILE + CAPTION), columns * TILE, 3), GROUND, np.uint8)
    heading = f"{_ascii(title)}: {len(pictures)} pictures" + (f", 1 in {step} shown" if step > 1 else "")
    _write(sheet, heading, (6, 22), 0.6, INK)
    for index, (path, quality) in enumerate(shown):
        top, left = TITLE + index // COLUMNS * (TILE + CAPTION), index % COLUMNS * TILE
        try:
            tile = _fitted(read_image(path).image)
            y, x = top + (TILE - tile.shape[0]) // 2, left + (TILE - tile.shape[1]) // 2
            sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
        except ImageError:  # removed meanwhile
            _write(sheet, "removed", (left + 50, top + TILE // 2), 0.4, PALE)
        number = path.stem.lstrip("0") or "0"
        _write(
            sheet,
            f"{number}  light {quality.brightness:.2f}  sharp {quality.sharpness:.3g}",
            (left + 4, top + TILE + 13),
            0.33,
            INK,
        )
    return np.asarray(cv2.imencode(".png", sheet)[1], np.uint8).tobytes()


def _fitted(image: Image) -> Image:
    factor = (TILE - 4) / max(image.shape[:2])
    size = max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _write(sheet: Image, text: str, at: tuple[int, int], scale: float, color: tuple[int, int, int]) -> None:
    cv2.putText(sheet, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, color, 1, cv2.LINE_AA)


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
