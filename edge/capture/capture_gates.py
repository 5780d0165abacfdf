"""Which pictures are worth keeping: exposed, of a part not yet taken, and sharp."""

from __future__ import annotations

from collections import deque
from enum import Enum

import numpy as np

from edge.capture.near_duplicates import SAME_BELOW, NearDuplicates, signature
from edge.frame import Image
from edge.pictures.image_quality import ImageQuality, image_quality, reduced
from edge.preprocess import Region

DARKEST, BRIGHTEST = 0.04, 0.96
"""Mean grey; real parts on black or white ground lie between 0.19 and 0.92."""
MOST_SATURATED = 0.8
"""Share of pixels at 250 or above; a figure on white ground has 0.68."""
LEAST_SHARP = 1.0
"""Grey levels²: under this a picture shows nothing, whatever the part."""
BLURRED_BELOW = 0.4
"""Of the session's median. Blur of 1 pixel leaves at most 0.32 of a real part's sharpness; like parts keep 0.5 of the median."""
SPREADS = 4.0
"""Where parts differ more than that among themselves, so many of their spreads below the median (of logarithms)."""
HISTORY = 50
ENOUGH = 10
"""Parts seen before the median says anything."""
SMALLEST = 16


class Skip(Enum):
    """Why a frame was not kept."""

    NO_FRAME = "no frame came"
    UNUSABLE = "frame unusable"
    DARK = "too dark"
    BRIGHT = "too bright"
    SATURATED = "overexposed"
    SAME_PART = "same part"
    BLURRED = "blurred"


class CaptureGates:
    """Judges one picture after the other by what the station looks at (``region``); remembers what was kept.

    The limit for sharpness follows the session: the median of the last 50 different parts, kept or not, so that another part or a
    focus set anew is taken as the new normal and not refused for ever.
    """

    def __init__(self, region: Region | None, same_below: float = SAME_BELOW) -> None:
        self._region = region
        self._kept = NearDuplicates(same_below=same_below)
        self._blurred = NearDuplicates(1, same_below)
        self._sharpness: deque[float] = deque(maxlen=HISTORY)

    def judge(self, image: Image) -> tuple[Skip | None, ImageQuality]:
        """None for a picture to keep, which is then remembered. Raises ConfigError where the region reaches outside."""
        seen = self._seen(image)
        quality = image_quality(seen)
        if quality.brightness < DARKEST:
            return Skip.DARK, quality
        if quality.brightness > BRIGHTEST:
            return Skip.BRIGHT, quality
        if quality.saturation > MOST_SATURATED:
            return Skip.SATURATED, quality
        one = signature(seen)
        if self._kept.holds(one):
            return Skip.SAME_PART, quality
        if quality.sharpness < self.sharpness_limit():
            if not self._blurred.holds(one):  # a still and blurred part has one say, too
                self._blurred.remember(one)
                self._sharpness.append(quality.sharpness)
            return Skip.BLURRED, quality
        self._kept.remember(one)
        self._sharpness.append(quality.sharpness)
        return None, quality

    def remember(self, image: Image) -> ImageQuality:
        """Count ``image`` as kept, whatever it is like: for the pictures of a session that is continued."""
        seen = self._seen(image)
        quality = image_quality(seen)
        self._kept.remember(signature(seen))
        self._sharpness.append(quality.sharpness)
        return quality

    def sharpness_limit(self) -> float:
        """A picture less sharp than this is blurred."""
        if len(self._sharpness) < ENOUGH:
            return LEAST_SHARP
        logarithms = np.log(np.maximum(self._sharpness, 1e-6))
        median = float(np.median(logarithms))
        spread = 1.4826 * float(np.median(np.abs(logarithms - median)))
        return max(LEAST_SHARP, float(np.exp(median - max(-np.log(BLURRED_BELOW), SPREADS * spread))))

    def _seen(self, image: Image) -> Image:
        seen = reduced(image if self._region is None else self._region.crop(image))
        if min(seen.shape[:2]) >= SMALLEST:
            return seen
        return np.pad(seen, [(0, max(0, SMALLEST - side)) for side in seen.shape[:2]] + [(0, 0)], mode="edge")
