"""Pictures of made-up parts that a person would tell apart: each has marks of its own."""

from __future__ import annotations

import cv2
import numpy as np

from edge.frame import Image


def different_part(seed: int, height: int = 192, width: int = 256) -> Image:
    """uint8 height×width×3, BGR: a lit disc with a few dark marks at places of its own, sharp and without noise."""
    random = np.random.default_rng(1000 + seed)
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    image = np.repeat((90 + 60 * across + 30 * down)[..., None], 3, axis=2).astype(np.uint8)
    cv2.circle(image, (width // 2, height // 2), height // 3, (170, 180, 175), -1)
    for _ in range(5):
        x, y = (int(random.integers(20, side - 40)) for side in (width, height))
        cv2.rectangle(image, (x, y), (x + 18, y + 12), tuple(int(v) for v in random.integers(10, 70, 3)), -1)
    return image
