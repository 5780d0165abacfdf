"""Parts one after the other through the photo-eye, each with its own picture."""

from __future__ import annotations

import time
from collections.abc import Iterable

from edge.frame import Image
from tests.hil.inside.chip import Chip
from tests.hil.inside.station import PITCH_S
from tests.hil.inside.virtual_camera import VirtualCamera


class Conveyor:
    """``run`` brings parts; ``came`` has (good, when) of every one so far, monotonic nanoseconds."""

    def __init__(self, camera: VirtualCamera, chip: Chip, good: list[Image], bad: list[Image]) -> None:
        self._camera, self._chip = camera, chip
        self._pictures = {True: good, False: bad}
        self._shown: bool | None = None
        self.came: list[tuple[bool, int]] = []

    def run(self, parts: Iterable[bool]) -> None:
        """True: a good part. Returns when the last one is in the beam."""
        for good in parts:
            began = time.monotonic()
            if good is not self._shown:
                self._camera.show(self._pictures[good])
                self._shown = good
            if self.came:
                since = time.monotonic_ns() - self.came[-1][1]
                time.sleep(max(0.0, PITCH_S - since / 1e9))
            self.came.append((good, self._chip.pulse("eye")))
            assert time.monotonic() - began < 5
