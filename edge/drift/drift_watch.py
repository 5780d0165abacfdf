"""The drift monitor beside a running inspection: told once, again when it came back or lasts, and never in the way of a verdict."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Literal

from edge.drift.drift_detector import Cause, Drift, DriftMonitor
from edge.drift.drift_words import SHORT, sentence
from edge.slots.slot_record import SlotRecord
from edge.station_config import DriftConfig
from edge.verdict import Verdict, finite_or_none

State = Literal["began", "lasts", "cleared", "off"]
HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class DriftEvent:
    """A line of the verdict log between two verdicts. ``part_id``: of the verdict before it. ``drift``: None when over."""

    state: State
    message: str
    part_id: int
    wall_ns: int
    calibration_serial: int | None
    drift: Drift | None

    def to_json(self) -> str:
        """One line of JSON; ``event`` tells it from a verdict."""
        record = {"event": "drift", **asdict(self)}
        if self.drift is not None:
            record["drift"]["cause"] = self.drift.cause.value
        return json.dumps(finite_or_none(record), allow_nan=False)


class DriftWatch:
    """Feeds verdicts to a monitor of their slot, a new one for each slot, and says what is news of it."""

    def __init__(self, config: DriftConfig, tell: Callable[[DriftEvent], None]) -> None:
        """tell: gets every event at once, on the caller's thread; must not block."""
        self._config, self._tell = config, tell
        self._monitor: DriftMonitor | None = None
        self._serial: int | None = None
        self._off = False
        self._told: dict[tuple[Cause, bool], int] = {}
        self.short = ""
        """What has changed, in a few words for a status line; empty while nothing has."""

    def of_late(self) -> dict[str, tuple[float, float]]:
        """As DriftMonitor's; nothing before the first part. From any thread."""
        monitor = self._monitor
        return monitor.of_late() if monitor is not None else {}

    def add(self, verdict: Verdict, slot: SlotRecord) -> None:
        """Take a verdict made with ``slot``. Never raises: what it cannot do it tells once, and from then on does nothing."""
        if self._off:
            return
        try:
            self._add(verdict, slot)
        except Exception as error:  # whatever goes wrong here, parts are inspected on
            self._off, self.short = True, ""
            self._say("off", f"drift is no longer watched: unexpected {type(error).__name__}: {error}", verdict, None)

    def _add(self, verdict: Verdict, slot: SlotRecord) -> None:
        if self._monitor is None or slot.serial != self._serial:
            self._start(slot)
        if self._monitor is None or verdict.scores is None:
            return
        self._monitor.add(verdict.scores, verdict.part_id)
        drift = self._monitor.drift()
        self.short = SHORT[drift.cause] if drift is not None else ""
        if drift is None:
            if self._told:
                self._told.clear()
                self._say("cleared", "the parts are again as they were at the calibration", verdict, None)
            return
        key = drift.cause, drift.recalibrate
        before = self._told.get(key)
        if before is None or verdict.decided_ns - before >= self._config.repeat_hours * HOUR_NS:
            self._told = dict.fromkeys((*self._told, key), verdict.decided_ns)
            self._say("began" if before is None else "lasts", sentence(drift), verdict, drift)

    def _start(self, slot: SlotRecord) -> None:
        self._told.clear()
        self.short, self._serial = "", slot.serial
        self._monitor = DriftMonitor(
            slot.baseline, slot.promise.images, slot.threshold, slot.promise.false_reject_rate, self._config.usual_reject_share
        )

    def _say(self, state: State, message: str, verdict: Verdict, drift: Drift | None) -> None:
        with suppress(Exception):
            self._tell(DriftEvent(state, message, verdict.part_id, verdict.wall_ns, self._serial, drift))
