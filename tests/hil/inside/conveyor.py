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
        self.came: list[tuple[bool, int]] = []

    def run(self, parts: Iterable[bool]) -> None:
        """True: a good part. Returns when the last one is in the beam."""
        for good in parts:
            began = time.monotonic()
            if good is not self._shown:
                self._hold()
                self._camera.show(self._pictures[good])
                self._shown = good
            if self.came:
                since = time.monotonic_ns() - self.came[-1][1]
                time.sleep(max(0.0, PITCH_S - since / 1e9))
            self.came.append((good, self._chip.pulse("eye")))
            assert time.monotonic() - began < 5

    def _hold(self) -> None:
        """The last part stays under the camera for as long as a picture of it may be taken."""
        if self.came:
            since_ns = time.monotonic_ns() - self.came[-1][1]
            time.sleep(max(0.0, EXPOSURE_WITHIN_MS / 1e3 - since_ns / 1e9))


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
