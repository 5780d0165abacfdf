"""Images as the engine takes them, the next one decoded while the engine is busy with the one before."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from edge.frame import Image
from edge.line.station_view import StationView
from edge.pictures.image_file import read_image

AHEAD = 2
"""Pictures decoded before they are asked for; each is held in memory."""


def prepared_images(view: StationView, paths: Iterable[Path]) -> Iterator[Image]:
    """uint8 height×width×3 of each of ``paths``, in their order.

    Raises ImageError or ConfigError when it is the turn of the image that cannot be used.
    """
    with ThreadPoolExecutor(1, "decode") as decoder:
        waiting: deque[Future[Image]] = deque()
        try:
            for path in paths:
                waiting.append(decoder.submit(_prepared, view, path))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # whoever stops early waits for no more than the picture being decoded
            for one in waiting:
                one.cancel()


def _prepared(view: StationView, path: Path) -> Image:
    return view.preprocess(read_image(path).image)
