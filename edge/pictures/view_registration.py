"""Whether the camera was moved: how far the picture that recent parts have in common lies from that of the calibration. Pure.

Parts that lie elsewhere are no moved camera, so it is a median over the last frames that is compared: what moves from part to part
is gone from it, what stands still stays. Where nothing stands still, there is no answer, and none is given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from edge.frame import Image
from edge.slots.calibration_tensors import Array

SIDE = 128
"""Pixels of the small grey pictures; half a pixel is 0.4 % of the view."""
FRAMES = 9
"""That the median is taken over."""
EVERY = 3
"""Frames from one look to the next; the median is what costs."""
LEAST_LIKENESS = 0.6
"""Correlation of both pictures where they overlap, once moved back; below it is another picture, not one that moved."""
LEAST_GAIN = 0.2
"""By how much moving back must raise that correlation."""
LARGEST_SHIFT = 0.4
"""Of the view; farther the overlap is too small to judge by."""


@dataclass(frozen=True, slots=True)
class Shift:
    """right, down: how far the view's content has moved, share of its width and height. likeness: −1…1, once moved back."""

    right: float
    down: float
    likeness: float
    gain: float

    @property
    def size(self) -> float:
        """The larger of both, without sign."""
        return max(abs(self.right), abs(self.down))

    @property
    def sure(self) -> bool:
        """True if it is this picture that has moved, and not another one."""
        return self.likeness >= LEAST_LIKENESS and self.gain >= LEAST_GAIN and self.size <= LARGEST_SHIFT


def small_grey(image: Image) -> Array:
    """float32 SIDE×SIDE of uint8 H×W×3, the grey of the picture reduced by area."""
    reduced = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(reduced, cv2.COLOR_BGR2GRAY), np.float32)


def shift_between(reference: Array, now: Array) -> Shift:
    """How ``now`` is moved against ``reference``, both float32 SIDE×SIDE; by phase correlation under a Hann window."""
    (right, down), _ = cv2.phaseCorrelate(reference - reference.mean(), now - now.mean(), _window())
    x, y = round(right), round(down)
    still = _likeness(reference, now, 0, 0)
    if abs(x) >= SIDE or abs(y) >= SIDE:
        return Shift(right / SIDE, down / SIDE, 0.0, 0.0)
    likeness = _likeness(reference, now, x, y)
    return Shift(right / SIDE, down / SIDE, likeness, likeness - still)


@cache
def _window() -> Array:
    return np.asarray(cv2.createHanningWindow((SIDE, SIDE), cv2.CV_32F), np.float32)


def _common(pictures: Sequence[Array]) -> Array:
    """What nine pictures have in common: the median of the medians of three, pixel by pixel, which sorts nothing."""
    threes = [_middle(*pictures[start : start + 3]) for start in range(0, FRAMES, 3)]
    return _middle(*threes)


def _middle(one: Array, two: Array, three: Array) -> Array:
    low, high = np.minimum(one, two), np.maximum(one, two)
    return np.asarray(np.maximum(low, np.minimum(high, three)))


def _likeness(reference: Array, now: Array, right: int, down: int) -> float:
    """Correlation of both where they overlap when ``now`` is moved back; 0 where one of them is flat there."""
    rows, columns = slice(max(0, -down), SIDE - max(0, down)), slice(max(0, -right), SIDE - max(0, right))
    moved_rows, moved_columns = slice(max(0, down), SIDE - max(0, -down)), slice(max(0, right), SIDE - max(0, -right))
    one = reference[rows, columns] - reference[rows, columns].mean()
    other = now[moved_rows, moved_columns] - now[moved_rows, moved_columns].mean()
    scale = float(np.sqrt(np.square(one).sum() * np.square(other).sum()))
    return float((one * other).sum()) / scale if scale > 0 else 0.0


class ViewRegistration:
    """Judges frame after frame against the calibration's reference pictures. One thread; constant memory."""

    def __init__(self, references: Sequence[Image], limit: float, in_a_row: int = 3) -> None:
        """references: pictures as the engine gets them. limit: share of the view. in_a_row: looks beyond it until it is told."""
        self._references = [small_grey(one) for one in references]
        self._limit, self._in_a_row = limit, in_a_row
        self._recent: deque[Array] = deque(maxlen=FRAMES)
        self._seen = self._beyond = 0
        self._last: Shift | None = None

    def add(self, image: Image) -> Shift | None:
        """Take the picture that the engine got, uint8 height×width×3; the shift, once the view has surely moved, else None."""
        grey = small_grey(image)
        self._recent.append(grey)
        if len(self._recent) < FRAMES or not self._references:
            return None
        self._seen += 1
        if self._seen % EVERY == 0:
            self._last = self._moved(_common(list(self._recent)))
            self._beyond = self._beyond + 1 if self._last is not None else 0
        return self._last if self._beyond >= self._in_a_row else None

    def _moved(self, common: Array) -> Shift | None:
        """The shift against every reference, where all of them agree on it; the surest."""
        shifts = [shift_between(reference, common) for reference in self._references]
        if any(not one.sure or one.size <= self._limit for one in shifts):
            return None
        spread = max(max(abs(one.right - shifts[0].right), abs(one.down - shifts[0].down)) for one in shifts)
        return max(shifts, key=lambda one: one.likeness) if spread <= self._limit / 2 else None
