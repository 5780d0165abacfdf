"""The only crop and resize. Training, calibration and inspection all come through here; the rest is in the graph."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigError
from edge.frame import Image


@dataclass(frozen=True, slots=True)
class Region:
    """A region of interest in camera pixels; the part outside is never looked at."""

    x: int
    y: int
    width: int
    height: int

    def crop(self, image: Image) -> Image:
        """The region of ``image`` (H×W×3), as a view; raises ConfigError where it reaches outside."""
        height, width = image.shape[:2]
        if self.x + self.width > width or self.y + self.height > height:
            raise ConfigError(
                f"region of interest {self.width}×{self.height} at ({self.x}, {self.y}) reaches outside the "
                f"{width}×{height} image; correct `region` in the station file or the camera's size"
            )
        return image[self.y : self.y + self.height, self.x : self.x + self.width]


def preprocess(image: Image, height: int, width: int, region: Region | None = None) -> Image:
    """Crop to ``region`` and resize to uint8 height×width×3, contiguous.

    Area averaging where the image shrinks, bilinear where it grows: both agree to one grey level across OpenCV
    builds. The aspect ratio is not kept, so that every pixel of the region is used.
    """
    if region is not None:
        image = region.crop(image)
    if image.shape[:2] == (height, width):
        return np.ascontiguousarray(image)
    shrinks = image.shape[0] * image.shape[1] > height * width
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, np.uint8)


def ignore_mask_cells(mask: Image | None, height: int, width: int, region: Region | None = None) -> NDArray[np.float32]:
    """float32 height×width, 1 where a cell of the score map is ignored.

    mask: uint8 H×W×3 as read from a picture in camera pixels, anything but black is to be ignored; None ignores
    nothing. A cell is ignored when at least half of it is.
    """
    if mask is None:
        return np.zeros((height, width), np.float32)
    if region is not None:
        mask = region.crop(mask)
    painted = (mask.max(axis=2) > 0).astype(np.float32)
    share = cv2.resize(painted, (width, height), interpolation=cv2.INTER_AREA)
    cells: NDArray[np.float32] = (share >= 0.5).astype(np.float32)
    if cells.all():
        raise ConfigError("ignore_mask covers the whole region; paint only what must not be judged")
    return cells
