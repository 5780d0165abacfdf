"""A picture and beside it, paled, the same with its heat map; for people to look at."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.frame import Image

LONGER_SIDE = 320
HEAT = (
    (255, 255, 204), (255, 237, 160), (254, 217, 118), (254, 178, 76), (253, 141, 60), (252, 78, 42), (227, 26, 28), (189, 0, 38),
    (128, 0, 38),
)  # fmt: skip
"""RGB from pale yellow to dark red: ColorBrewer's YlOrRd, which the colour-blind and grey printers keep in order."""
PALEST = 0.23
"""Where on that scale the heat begins, so that it stands out from the paled picture."""
MOST_OPAQUE = 0.9
QUALITY = 88
HIGHEST_START = 0.8
"""Of the threshold: the heat begins no higher, and ends there."""


def heat_share(anomaly_map: NDArray[np.floating[Any]], threshold: float) -> NDArray[np.floating[Any]]:
    """The map as ``heat_picture`` takes it: heat begins where nine tenths of the map lie below, and is full at ``threshold``."""
    low = min(float(np.quantile(anomaly_map, 0.9)), HIGHEST_START * threshold)
    return (anomaly_map - low) / max(threshold - low, 1e-9)


def heat_over(picture: Image, share: NDArray[np.floating[Any]]) -> Image:
    """``picture`` (uint8 H×W×3, BGR), paled, with the heat over it; the same size. share: as ``heat_picture``."""
    grid = np.clip(np.nan_to_num(np.asarray(share, np.float32), nan=1.0), 0.0, 1.0)
    heat = cv2.resize(grid, (picture.shape[1], picture.shape[0]), interpolation=cv2.INTER_LINEAR)[..., None]
    places = np.linspace(0.0, 1.0, len(HEAT))
    colors = np.array(HEAT, np.float32)[:, ::-1]
    toned = PALEST + (1.0 - PALEST) * heat[..., 0]
    color = np.stack([np.interp(toned, places, colors[:, channel]) for channel in range(3)], axis=-1)
    pale = 96.0 + 0.5 * picture.mean(axis=2, keepdims=True)
    opacity = np.minimum(2.0 * heat, MOST_OPAQUE)
    over: Image = ((1.0 - opacity) * pale + opacity * color).round().astype(np.uint8)
    return over


def heat_picture(image: Image, share: NDArray[np.floating[Any]]) -> bytes:
    """A JPEG of both halves, each 320 pixels at its longer side.

    image: uint8 H×W×3, BGR. share: h×w over the whole of it, 0 where nothing is shown to 1 for the darkest red; what is
    outside is cut off, and not a number is shown as the darkest.
    """
    scale = LONGER_SIDE / max(image.shape[:2])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    picture = np.asarray(cv2.resize(image, size, interpolation=interpolation), np.uint8)
    both = np.concatenate([picture, heat_over(picture, share)], axis=1)
    done, content = cv2.imencode(".jpg", both, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert done
    return content.tobytes()
