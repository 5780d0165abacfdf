"""A picture from a camera, with the time it was exposed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.errors import FrameError

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame.

    image: uint8 H×W×3, BGR. index: counts from 0 for each opened camera. exposed_ns: monotonic time at which
    the frame was taken (for a file: read; for a camera whose driver gives no time: arrived). source: what a person would look for,
    such as a file name. driver_ns: the driver's own time stamp, None where it gives none. still_ns: for how long a live
    camera has given nothing but this picture, to the last bit.
    """

    image: Image
    index: int
    exposed_ns: int
    source: str
    driver_ns: int | None = None
    still_ns: int = 0


def require_bgr(image: object, source: str) -> Image:
    """Return ``image`` if it is a non-empty uint8 H×W×3 array, else raise FrameError saying what came."""
    if not isinstance(image, np.ndarray):
        raise FrameError(f"{source}: expected an image, got {type(image).__name__}; check the camera or the file")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise FrameError(f"{source}: expected uint8 H×W×3 (BGR), got {image.dtype} {image.shape}; check the pixel format")
    return image
