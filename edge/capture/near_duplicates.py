"""Is this the part that was already taken? Frames of one still part differ by noise, flicker and a shake; two good parts by more.

A picture is averaged over at most 32×32 cells, so that sensor noise is (a cell of 16×16 pixels has a sixteenth of it). Of the
difference of two, what a brightness up to 5 % apart and a shift up to one pixel explain is taken away (the shift by the mean
gradients of the cells, as in Lucas and Kanade, 1981); the largest cell left over is the distance, in grey levels.

Measured on five sets of real good parts at up to 512 pixels, all pairs within a set: the closest two are 8.8 apart (bottle,
magnetic_tile), or 30 to 37 (toy_figure, transistor, macaroni). Copies of one picture with noise of 10 grey levels reach 3.2; with
3 % more light into white, 4.3; JPEG, 1.7; shaken by one pixel, 4.1. Parts in a fixture that look alike to a few grey levels need a
lower limit.
"""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.frame import Image
from edge.pictures.image_quality import GREY

CELLS = 32
CELL_PIXELS = 12
"""A cell is never smaller: in fewer pixels the noise stays."""
SAME_BELOW = 5.0
FLICKER = 0.05
SHAKE_PIXELS = 1.0
MEMORY = 8

Signature = NDArray[np.float32]
"""float32 3×rows×columns: mean grey of each cell, its mean slope across and down (grey levels a pixel)."""


class NearDuplicates:
    """Remembers the last ``memory`` pictures. Give pictures of one size, reduced by ``image_quality.reduced``."""

    def __init__(self, memory: int = MEMORY, same_below: float = SAME_BELOW) -> None:
        self._kept: deque[Signature] = deque(maxlen=memory)
        self._same_below = same_below

    def holds(self, signature: Signature) -> bool:
        """True if one of the remembered pictures shows the same still part."""
        return any(difference(kept, signature) < self._same_below for kept in reversed(self._kept))

    def remember(self, signature: Signature) -> None:
        """Count this one as taken."""
        self._kept.append(signature)


def signature(image: Image) -> Signature:
    """Of uint8 H×W×3 (BGR)."""
    grey = image.astype(np.float32) @ GREY
    height, width = grey.shape
    size = min(CELLS, max(1, width // CELL_PIXELS)), min(CELLS, max(1, height // CELL_PIXELS))
    across = 0.5 * cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=1)
    down = 0.5 * cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=1)
    return np.stack([np.asarray(cv2.resize(p, size, interpolation=cv2.INTER_AREA), np.float32) for p in (grey, across, down)])


def difference(one: Signature, other: Signature) -> float:
    """Distance of two pictures in grey levels, 0 for the same; infinite where their sizes differ. Symmetric but for rounding."""
    if one.shape != other.shape:
        return float("inf")
    # Brightness is shared out between both, so that neither is the reference.
    ratio = float(np.clip((one[0].mean() + 1) / (other[0].mean() + 1), 1 - FLICKER, 1 + FLICKER))
    apart = (one[0] / np.sqrt(ratio) - other[0] * np.sqrt(ratio)).reshape(-1).astype(np.float64)
    slopes = (0.5 * (one[1:] + other[1:])).reshape(2, -1).T.astype(np.float64)
    normal = slopes.T @ slopes + 1e-3 * np.eye(2)
    shift = np.clip(np.linalg.solve(normal, slopes.T @ apart), -SHAKE_PIXELS, SHAKE_PIXELS)
    # A shift that makes it worse was none.
    return float(min(np.abs(apart).max(), np.abs(apart - slopes @ shift).max()))
