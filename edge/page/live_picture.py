"""The newest part as viewers see it: made small once, encoded once for each of the two ways to look at it."""

from __future__ import annotations

import threading
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.frame import Image
from edge.live.live_reader import SeenPart
from edge.preprocess import Region
from edge.records.heat_picture import heat_over, heat_share

LONGER_SIDE = 960
QUALITY = 80
FRAME_COLOR = (255, 255, 255)


class LivePicture:
    """JPEGs of one part. The picture's own memory is given back: what is held is small."""

    def __init__(self, seen: SeenPart) -> None:
        header = seen.header
        self.part_id: int = header.verdict["part_id"]
        image = seen.image
        scale = min(1.0, LONGER_SIDE / max(1, *image.shape[:2]))
        size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        self._image: Image | None = None
        if image.size:
            self._image = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8) if scale < 1 else image.copy()
        threshold = header.verdict.get("threshold")
        self._share: NDArray[np.floating[Any]] | None = None
        if seen.anomaly_map.size and isinstance(threshold, float) and threshold > 0:
            self._share = heat_share(seen.anomaly_map, threshold)
        self._region = None if header.region is None else _scaled(header.region, scale)
        self._lock = threading.Lock()
        self._encoded: dict[bool, bytes] = {}

    def jpeg(self, heat: bool) -> bytes | None:
        """With its heat map, or as it came; None where the part has no picture."""
        if self._image is None:
            return None
        wanted = heat and self._share is not None
        with self._lock:  # who comes at the same moment waits for the first one's
            if wanted not in self._encoded:
                shown = self._with_heat() if wanted else self._image
                done, content = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
                assert done
                self._encoded[wanted] = content.tobytes()
            return self._encoded[wanted]

    def _with_heat(self) -> Image:
        assert self._image is not None
        assert self._share is not None
        if self._region is None:
            return heat_over(self._image, self._share)
        shown: Image = self._image.copy()
        region = self._region
        rows, columns = slice(region.y, region.y + region.height), slice(region.x, region.x + region.width)
        if shown[rows, columns].size:
            shown[rows, columns] = heat_over(shown[rows, columns], self._share)
        corner = region.x + region.width - 1, region.y + region.height - 1
        cv2.rectangle(shown, (region.x, region.y), corner, FRAME_COLOR, 1)
        return shown


def _scaled(region: tuple[int, int, int, int], scale: float) -> Region:
    x, y, width, height = (round(value * scale) for value in region)
    return Region(x, y, max(1, width), max(1, height))
