"""Pictures of one still part count once: its frames differ by noise, flicker and a shake alone, and say nothing new of good parts.

What two pictures differ by is ``edge/capture/near_duplicates.difference``. Its limit is for pictures taken one after the other; in
a folder, good parts in a fixture may differ by less. So two pictures are taken for the same part only where they are, besides, far
closer to each other than two pictures drawn at random. Where all are alike, none is left out, and ``Alike.all_alike`` says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.capture.near_duplicates import SAME_BELOW, Signature, difference, signature
from edge.pictures.image_file import ImageFile
from edge.pictures.image_quality import reduced
from edge.preprocess import Region

SHARE = 0.25
"""Of the median distance of two pictures at random: closer ones may show the same part."""
COARSE = 8
PAIRS = 3
"""Random pairs looked at for each picture."""
FEWEST = 10
"""Pictures that tell how far apart two parts are."""


@dataclass(frozen=True, slots=True)
class Alike:
    """repeats: sha256 of each picture left out → of the one that stands for it. median: distance of two at random, grey levels."""

    repeats: dict[str, str]
    median: float

    @property
    def all_alike(self) -> bool:
        """No two parts differ by more than frames of one part may: nothing tells whether there was more than one part."""
        return self.median < SAME_BELOW


class StillParts:
    """Give every picture with its hash; ``find`` does not depend on their order. region: what the station looks at."""

    def __init__(self, region: Region | None) -> None:
        self._region = region
        self._signatures: dict[str, Signature] = {}

    def add(self, read: ImageFile) -> None:
        """One that the region does not fit into is looked at whole."""
        region, image = self._region, read.image
        height, width = image.shape[:2]
        if region is not None and region.x + region.width <= width and region.y + region.height <= height:
            image = region.crop(image)
        self._signatures[read.sha256] = signature(reduced(image))

    def find(self, learned: set[str]) -> Alike:
        """Which pictures repeat another; those in ``learned`` stand for others rather than the other way round."""
        order = sorted(self._signatures, key=lambda digest: (digest not in learned, digest))
        median = self._median(sorted(order))
        if len(order) < FEWEST:
            return Alike({}, median)
        limit = min(SAME_BELOW, SHARE * median)
        coarse = np.stack([_coarse(self._signatures[digest]) for digest in order])
        repeats: dict[str, str] = {}
        kept: list[int] = []
        for index, digest in enumerate(order):
            near = np.abs(coarse[kept] - coarse[index]).max(axis=1) < SAME_BELOW if kept else np.zeros(0, bool)
            for other in np.asarray(kept)[near] if kept else ():
                if difference(self._signatures[order[other]], self._signatures[digest]) < limit:
                    repeats[digest] = order[other]
                    break
            else:
                kept.append(index)
        return Alike(repeats, median)

    def _median(self, order: list[str]) -> float:
        pairs = [(order[i], order[(i + step) % len(order)]) for step in range(1, PAIRS + 1) for i in range(len(order))]
        apart = [difference(self._signatures[one], self._signatures[other]) for one, other in pairs if one != other]
        comparable = [distance for distance in apart if np.isfinite(distance)]
        return float(np.median(comparable)) if comparable else 0.0


def _coarse(one: Signature) -> NDArray[np.float32]:
    """float32 [64]: mean grey of at most 8×8 blocks of cells, brightness taken out. Cheaper to compare, and hardly further apart
    than the cells are."""
    grey = one[0]
    rows = np.array_split(grey, min(COARSE, grey.shape[0]), axis=0)
    blocks = np.array([[block.mean() for block in np.array_split(row, min(COARSE, grey.shape[1]), axis=1)] for row in rows])
    flat = np.zeros(COARSE * COARSE, np.float32)
    flat[: blocks.size] = (blocks * (128.0 / max(blocks.mean(), 1.0))).ravel()
    return flat
