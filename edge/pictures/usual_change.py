"""What changes in pictures of good parts from day to day: place, focus, light. C is derived from pictures with and without it."""

from __future__ import annotations

import zlib

import cv2
import numpy as np

from edge.frame import Image

LARGEST_SHIFT = 0.025
"""Of the picture's width and height, either way."""
LARGEST_BLUR = 1.2 / 256
"""Sigma of the Gaussian blur, of the picture's width."""
LARGEST_GAIN = 0.15
"""Of the light, either way."""
LEAST_SIGMA = 0.05
"""Pixels; below that a blur changes nothing."""


def usual_change(image: Image) -> Image:
    """uint8 H×W×3 moved and blurred a little, at random; the border is replicated.

    It also loses what other light costs: it is made brighter or darker, cut off at white, and brought back, as the graph does.
    The change is drawn from the picture's own bytes, so that the same files give the same C in any order.
    """
    random = np.random.default_rng(zlib.crc32(image.tobytes()))
    height, width = image.shape[:2]
    right, down = random.uniform(-LARGEST_SHIFT, LARGEST_SHIFT, 2) * (width, height)
    matrix = np.array([[1, 0, round(right)], [0, 1, round(down)]], np.float32)
    moved = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    sigma = max(random.uniform(0, LARGEST_BLUR) * width, LEAST_SIGMA)
    blurred = cv2.GaussianBlur(moved, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    gain = random.uniform(1 - LARGEST_GAIN, 1 + LARGEST_GAIN)
    return np.asarray(cv2.convertScaleAbs(cv2.convertScaleAbs(blurred, alpha=gain), alpha=1 / gain), np.uint8)
