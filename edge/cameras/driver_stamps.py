"""When a frame was exposed, by the driver's own time stamp where that can be believed. Pure.

With CAP_V4L2, OpenCV's CAP_PROP_POS_MSEC is the V4L2 buffer's stamp of the frame last read (modules/videoio/src/cap_v4l.cpp), which
drivers take from CLOCK_MONOTONIC. Some do not: theirs is the time of day, or counts from when the stream began, or is 0.
"""

from __future__ import annotations

import math

OLDEST_NS = 2_000_000_000
"""A first stamp older than that when its frame arrives is of another clock."""
AHEAD_NS = 100_000_000
"""A first stamp that far ahead of its frame's arrival is of the same clock yet: some drivers stamp by a grid that runs ahead."""


class DriverStamps:
    """For one opened camera. ``trusted`` from the first stamp that lies near its frame's arrival.

    From then on an old stamp is an old frame, and no reason to believe its arrival: it must not count as exposed after a trigger.
    """

    def __init__(self) -> None:
        self.trusted = False

    def take(self, stamp_ms: float, arrived_ns: int) -> tuple[int, int | None]:
        """(monotonic nanoseconds of the exposure, the driver's stamp), arrival and None where there is no stamp to believe.

        stamp_ms: of the driver, milliseconds.
        """
        stamp_ns = round(stamp_ms * 1e6) if math.isfinite(stamp_ms) else 0
        if not self.trusted:
            self.trusted = stamp_ns > 0 and -AHEAD_NS <= arrived_ns - stamp_ns <= OLDEST_NS
        if not self.trusted:
            return arrived_ns, None
        return min(stamp_ns, arrived_ns), stamp_ns
