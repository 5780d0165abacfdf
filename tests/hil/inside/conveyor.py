"""Parts one after the other through the photo-eye, each with its own picture."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from edge.frame import Image
from tests.hil.inside.chip import Chip
from tests.hil.inside.inspector import Record
from tests.hil.inside.line_watch import LineWatch
from tests.hil.inside.station import DELAY_MS, EXPOSURE_WITHIN_MS, MS, PITCH_S, PULSE_MS, TICK_MS
from tests.hil.inside.virtual_camera import VirtualCamera


class Conveyor:
    """``run`` brings parts; ``came`` has (good, when) of every one so far, monotonic nanoseconds."""

    def __init__(self, camera: VirtualCamera, chip: Chip, good: list[Image], bad: list[Image]) -> None:
        self._camera, self._chip = camera, chip
        self._pictures = {True: good, False: bad}
        self._shown: bool | None = None
        self._left_ns = 0
        self.came: list[tuple[bool, int]] = []

    def run(self, parts: Iterable[bool]) -> None:
        """True: a good part. Returns when the last one is in the beam."""
        for good in parts:
            began = time.monotonic()
            if good is not self._shown:
                self._wait(EXPOSURE_WITHIN_MS / 1e3)  # a picture of the last part may be taken for so long
                self._camera.show(self._pictures[good])
                self._shown = good
            self._wait(PITCH_S)
            self.came.append((good, self._chip.pulse("eye")))
            self._left_ns = time.monotonic_ns()
            assert time.monotonic() - began < 5

    def _wait(self, seconds: float) -> None:
        """Until so long after the last part was in the beam for certain: its edge may come later than the pulse was begun."""
        since_ns = time.monotonic_ns() - self._left_ns
        time.sleep(max(0.0, seconds - since_ns / 1e9))


def assert_accounted_for(
    records: Mapping[int, Record], came: Sequence[tuple[bool, int]], lines: LineWatch, idle: bool = False
) -> int:
    """Each of ``came`` has one record, in order; bad ones were rejected, good ones passed, and the line said so in their windows.

    idle: what the line says between parts, True for pass. Where the machine stood still while a part was on its way, it may be a
    FAULT and its window late; but a bad one that may have passed must be recorded as such. Returns how many were undisturbed.
    """
    assert list(records) == list(range(len(came)))
    undisturbed = 0
    for record, (good, at_ns) in zip(records.values(), came, strict=True):
        begin_ns = record["trigger_ns"] + DELAY_MS * MS
        end_ns = begin_ns + PULSE_MS * MS
        if lines.stalled_ns(at_ns - 200 * MS, end_ns + TICK_MS * MS):
            assert good or record["action"] in ("rejected", "late"), record
            continue
        undisturbed += 1
        assert 0 <= record["trigger_ns"] - at_ns < PITCH_S * 1e9, record  # it is this part's, not the next one's
        assert (record["outcome"], record["action"]) == (("PASS", "passed") if good else ("REJECT", "rejected")), record
        assert lines.level_at("reject", begin_ns + TICK_MS * MS) is good, record
        changes = lines.of("reject", begin_ns - MS, end_ns + TICK_MS * MS)
        assert all(one.at_ns < begin_ns + TICK_MS * MS or one.at_ns > end_ns - MS for one in changes), (record, changes)
        if good is not idle:
            assert [one.level for one in changes] == [good, idle], (record, changes)
            assert abs(changes[1].at_ns - changes[0].at_ns - PULSE_MS * MS) <= TICK_MS * MS, changes
    return undisturbed
