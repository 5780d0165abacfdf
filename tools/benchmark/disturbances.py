"""What happens to good parts' pictures on a real line: other light, another place, a lens slightly out of focus."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from edge.frame import Image
from tools.part_region import moved

SHIFT = 0.02
"""Of the image's width or height."""
BLUR_SIDE = 256
"""The blur's sigma is one pixel of an image resized to this side, pixels."""


def brightness(image: Image, factor: float) -> Image:
    """uint8 H×W×3 times ``factor``, rounded and saturated."""
    return np.asarray(cv2.convertScaleAbs(image, alpha=factor, beta=0), np.uint8)


def shift(image: Image, across: float, down: float) -> Image:
    """Moved right and down by these shares of width and height, to whole pixels; the border is replicated."""
    height, width = image.shape[:2]
    return moved(image, round(down * height), round(across * width), cv2.BORDER_REPLICATE)


def blur(image: Image) -> Image:
    """Gaussian blur of sigma 1 pixel at ``BLUR_SIDE``: width/256 across and height/256 down, in the image's own pixels."""
    height, width = image.shape[:2]
    sigma = {"sigmaX": width / BLUR_SIDE, "sigmaY": height / BLUR_SIDE}
    return np.asarray(cv2.GaussianBlur(image, (0, 0), **sigma, borderType=cv2.BORDER_REPLICATE), np.uint8)


DISTURBANCES: dict[str, Callable[[Image], Image]] = {
    "as is": lambda image: image,
    "brightness ×0.85": lambda image: brightness(image, 0.85),
    "brightness ×1.15": lambda image: brightness(image, 1.15),
    "shift +2 % in x": lambda image: shift(image, SHIFT, 0.0),
    "shift -2 % in x": lambda image: shift(image, -SHIFT, 0.0),
    "shift +2 % in y": lambda image: shift(image, 0.0, SHIFT),
    "shift -2 % in y": lambda image: shift(image, 0.0, -SHIFT),
    "blur": blur,
}
"""In the order of the report; each is applied to the camera's picture, before crop and resize."""
