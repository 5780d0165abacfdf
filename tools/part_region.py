"""Where the part lies in an image of it on a plain or textured ground, and what the ground would look like without it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.frame import Image

Mask = NDArray[np.bool_]
Random = np.random.Generator

BORDER_SHARE = 0.04
LEAST_CONTRAST = 20
"""Grey levels between part and ground; below that there is no telling them apart."""
LEAST_SEPARATION = 0.8
"""Share of the difference's variance that lies between part and ground; a texture without a part has less."""
TRIES = 60
SMALLEST_PIECE = 8
SEVERAL = 0.25
"""Components of at least this share of the largest count as parts of their own."""


def foreground(image: Image) -> Mask:
    """Bool H×W: what differs from the border's median colour by more than Otsu's threshold (1979).

    All False where that is no part: less than 2 % or more than 80 % of the image, or not clearly apart from the border.
    """
    height, width = image.shape[:2]
    edge = max(1, round(BORDER_SHARE * min(height, width)))
    inner = np.zeros((height, width), bool)
    inner[edge : height - edge, edge : width - edge] = True
    ground = np.median(image[~inner], axis=0)
    smooth = cv2.GaussianBlur(image, (0, 0), max(0.5, min(height, width) / 200)).astype(np.float32)
    difference = np.abs(smooth - ground).max(axis=2).astype(np.uint8)
    level, binary = cv2.threshold(difference, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    found: Mask = np.asarray(binary > 0)
    share = float(found.mean())
    if level < LEAST_CONTRAST or not 0.02 <= share <= 0.8:
        return np.zeros_like(found)
    between = share * (1 - share) * (float(difference[found].mean()) - float(difference[~found].mean())) ** 2
    return found if between >= LEAST_SEPARATION * float(difference.var()) else np.zeros_like(found)


def parts(image: Image) -> list[Mask]:
    """Bool H×W each: the connected pieces of the foreground that are at least a quarter of the largest; may be empty."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(foreground(image).astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    if count < 2 or areas.max() < 0.01 * labels.size:
        return []
    return [np.asarray(labels == 1 + index) for index in np.flatnonzero(areas >= SEVERAL * areas.max())]


def one_side(part: Mask, random: Random) -> Mask:
    """A quarter to a half of ``part``, beyond a straight line across it."""
    rows, columns = np.nonzero(part)
    angle = random.uniform(0, 2 * np.pi)
    along = rows * np.sin(angle) + columns * np.cos(angle)
    beyond = along > np.quantile(along, random.uniform(0.5, 0.75))
    side = np.zeros_like(part)
    side[rows[beyond], columns[beyond]] = True
    return side


def grown(mask: Mask, pixels: int) -> Mask:
    """``mask`` with ``pixels`` more on every side."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)


def moved(image: Image, down: int, right: int, border: int = cv2.BORDER_CONSTANT) -> Image:
    """``image`` moved by whole pixels; what comes in is 0, or as OpenCV's ``border`` says."""
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float32)
    out = cv2.warpAffine(image, matrix, image.shape[1::-1], flags=cv2.INTER_NEAREST, borderMode=border)
    return np.asarray(out, np.uint8)


def moved_mask(mask: Mask, down: int, right: int) -> Mask:
    """``mask`` moved by whole pixels; False comes in."""
    return np.asarray(moved(np.asarray(mask, np.uint8), down, right) > 0)


def filled(image: Image, region: Mask, occupied: Mask, random: Random) -> Image:
    """``image`` with ``region`` replaced by ground from elsewhere in it, each piece by the one whose rim fits best.

    occupied: where ground must not be taken from. A region for which no ground is large enough is halved until it fits.
    """
    out: Image = np.array(image)
    taken: Mask = np.logical_or(occupied, region)
    _fill(image, out, region, taken, ~taken, random)
    return out


def _fill(image: Image, out: Image, region: Mask, occupied: Mask, known: Mask, random: Random) -> None:
    """known: ground in ``out``, the pieces filled so far included; grows by ``region``."""
    height, width = region.shape
    rows, columns = np.nonzero(region)
    top, bottom, left, right = int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())
    near = np.nonzero(grown(region, 2) & known)
    best, best_cost = None, np.inf
    for _ in range(TRIES):
        down = int(random.integers(bottom - height + 1, top + 1))
        across = int(random.integers(right - width + 1, left + 1))
        from_rows, from_columns = rows - down, columns - across
        if occupied[from_rows, from_columns].any():
            continue
        from_near = (near[0] - down).clip(0, height - 1), (near[1] - across).clip(0, width - 1)
        cost = float(np.abs(image[from_near].astype(int) - out[near]).mean()) if len(near[0]) else 0.0
        if cost < best_cost:
            best, best_cost = (from_rows, from_columns), cost
    if best is not None:
        out[rows, columns] = image[best]
        known[rows, columns] = True
        return
    if max(bottom - top, right - left) < SMALLEST_PIECE:
        out[rows, columns] = np.median(image[~occupied] if not occupied.all() else image.reshape(-1, 3), axis=0)
        known[rows, columns] = True
        return
    tall = bottom - top >= right - left
    first = (rows <= (top + bottom) // 2) if tall else (columns <= (left + right) // 2)
    for chosen in (first, ~first):
        if chosen.any():
            half = np.zeros_like(region)
            half[rows[chosen], columns[chosen]] = True
            _fill(image, out, half, occupied, known, random)
