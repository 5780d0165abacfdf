"""Brightness, saturation and sharpness, as the graph's ``image_quality`` has them, of pictures that meet no engine."""

from __future__ import annotations

import cv2
import numpy as np

from edge.frame import Image
from edge.storage.strict_yaml import StrictModel

SATURATED = 250.0
"""A grey level that no longer tells differences."""
GREY = np.array([0.114, 0.587, 0.299], np.float32)
"""Weights of blue, green and red (ITU-R BT.601)."""
LONG_SIDE = 512
"""Pictures are measured at most this long, so that sensor noise weighs as little as in the engine's input."""


class ImageQuality(StrictModel):
    """brightness: mean grey, 0…1. saturation: share of pixels at 250 or above. sharpness: mean squared Laplacian, grey levels²."""

    brightness: float
    saturation: float
    sharpness: float


def image_quality(image: Image) -> ImageQuality:
    """Figures of uint8 H×W×3 (BGR), H and W at least 3, as it is; reduce it first where sizes differ."""
    grey = image.astype(np.float32) @ GREY
    center = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * center
    return ImageQuality(
        brightness=float(grey.mean(dtype=np.float64)) / 255,
        saturation=float((grey >= SATURATED).mean()),
        sharpness=float(np.square(laplacian).mean(dtype=np.float64)),
    )


def rounded(quality: ImageQuality) -> ImageQuality:
    """To four digits, for records that people read."""
    return ImageQuality(**{name: float(f"{value:.4g}") for name, value in quality.model_dump().items()})


def reduced(image: Image, long_side: int = LONG_SIDE) -> Image:
    """``image``, area-averaged to at most ``long_side`` pixels; a smaller one as it is."""
    height, width = image.shape[:2]
    factor = long_side / max(height, width)
    if factor >= 1:
        return image
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
