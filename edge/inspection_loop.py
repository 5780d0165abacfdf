"""The stages joined: part → engine → decision → line → report. No arithmetic of its own."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from edge.bound_slot import BoundSlot
from edge.calibration_slot import CalibrationSlot
from edge.clock import Clock
from edge.decision import decide
from edge.engines.base import Engine, Inference
from edge.errors import EndOfStream, EngineError, SlotError
from edge.frame_health import FrameHealth
from edge.part_feed import Seen
from edge.part_line import PartLine
from edge.station_view import CurrentView
from edge.supervisor import Supervisor
from edge.verdict import Outcome, Verdict


class Feed(Protocol):
    """A PartFeed, read ahead or not."""

    def next(self, stop: threading.Event) -> Seen | None:
        """The next part; None where there is none yet. Raises EndOfStream."""
        ...


class Slots(Protocol):
    """A SlotWatcher, or the calibrations of a recorded run."""

    def take(self) -> CalibrationSlot | None:
        """The slot to change to, if any."""
        ...

    def answer(self, slot: CalibrationSlot, refusal: str = "") -> None:
        """What became of it."""
        ...


class InspectionLoop:
    """Inspects part after part until told to stop, the source ends, or a line can no longer be driven (LineError).

    Whatever else goes wrong with a part is its FAULT verdict, the line says reject, and the next part is tried.
    ``engine`` is bound to ``slot``; another one that ``slots`` has ready is taken between two parts. ``report`` gets every verdict,
    with what it was made of, after the line took it. ``max_age_ms``: a picture older than that when decided is a FAULT. ``health``
    gives what judges whether a picture can be judged, for each slot. shadow: no line hears of the verdicts, which say so.
    """

    def __init__(
        self,
        feed: Feed,
        engine: Engine,
        slot: CalibrationSlot,
        view: CurrentView,
        line: PartLine,
        clock: Clock,
        max_age_ms: int,
        report: Callable[[Verdict, Seen, Inference | None], None],
        slots: Slots | None = None,
        supervisor: Supervisor | None = None,
        health: Callable[[CalibrationSlot], FrameHealth] | None = None,
        shadow: bool = False,
    ) -> None:
        self._feed, self._view, self._line, self._clock = feed, view, line, clock
        self._max_age_ms, self._report, self._slots = max_age_ms, report, slots
        self._bound, self._supervisor, self._shadow = BoundSlot(engine, slot), supervisor, shadow
        self._new_health, self._health = health, health(slot) if health is not None else None
        view.expect(slot.record.frame_size)
        self.counts: Counter[Outcome] = Counter()

    @property
    def slot(self) -> CalibrationSlot:
        """The one that decides; while a verdict is reported, the one it was made with."""
        return self._bound.slot

    def run(self, stop: threading.Event, max_parts: int | None = None) -> None:
        """Return on ``stop``, after ``max_parts`` verdicts, or at the end of a recording."""
        while not stop.is_set() and (max_parts is None or self.counts.total() < max_parts):
            self._take_slot()
            if self._supervisor is not None:
                self._supervisor.between(self._bound)
            try:
                seen = self._feed.next(stop)
            except EndOfStream:
                return
            if seen is not None:
                verdict, inference = self._inspect(seen)
                self.counts[verdict.outcome] += 1
                self._report(verdict, seen, inference)

    def _take_slot(self) -> None:
        slot = self._slots.take() if self._slots is not None else None
        if self._slots is None or slot is None or slot.record == self._bound.slot.record:
            return
        try:
            self._bound.change_to(slot)
        except SlotError as error:
            self._slots.answer(slot, str(error))
        else:
            self._view.expect(slot.record.frame_size)
            self._health = self._new_health(slot) if self._new_health is not None else None
            self._slots.answer(slot)

    def _inspect(self, seen: Seen) -> tuple[Verdict, Inference | None]:
        record = self._bound.slot.record
        started = self._clock.monotonic_ns()
        inference: Inference | None = None
        if self._supervisor is not None and (seen.lost or seen.frame is not None):
            self._supervisor.camera(seen.fault if seen.lost else "", self._bound)
        outcome, reason = Outcome.FAULT, seen.fault
        try:
            if seen.image is not None:
                inference = self._bound.infer(seen.image)
                inferred = self._clock.monotonic_ns()
                seen.stage_ms["engine"] = (inferred - started) / 1e6
                outcome, reason = self._judge(seen, inference, record.threshold)
                seen.stage_ms["decision"] = (self._clock.monotonic_ns() - inferred) / 1e6
        except EngineError as error:
            reason = str(error)
            if self._supervisor is not None:
                self._supervisor.engine_failed(reason)
        except Exception as error:  # not foreseen, and therefore not known to be good
            reason = f"unexpected {type(error).__name__}: {error}"
        exposed_ns = seen.frame.exposed_ns if seen.frame is not None else None
        decided_ns = self._clock.monotonic_ns()
        outcome, reason = self._line.decide(seen.part_id, outcome, reason, decided_ns if exposed_ns is None else exposed_ns)
        return Verdict(
            part_id=seen.part_id,
            outcome=outcome,
            reason=reason,
            source=seen.source,
            trigger_ns=seen.trigger_ns,
            exposed_ns=exposed_ns,
            decided_ns=decided_ns,
            wall_ns=self._clock.wall_ns(),
            scores=inference.scores if inference is not None else None,
            threshold=record.threshold,
            calibration_serial=record.serial,
            stage_ms=seen.stage_ms,
            degraded=self._bound.degraded,
            shadow=self._shadow,
        ), inference

    def _judge(self, seen: Seen, inference: Inference, threshold: float) -> tuple[Outcome, str]:
        outcome, reason = decide(inference.scores, threshold)
        assert seen.frame is not None
        assert seen.image is not None
        if self._health is not None:
            moved = self._health.moved(seen.image)  # always looked at: it remembers the last frames
            unfit = self._health.frozen(seen.frame.image, seen.frame.driver_ns) or self._health.unfit(inference.scores) or moved
            if unfit:
                return Outcome.FAULT, unfit
        age_ms = (self._clock.monotonic_ns() - seen.frame.exposed_ns) / 1e6
        if age_ms > self._max_age_ms:
            return Outcome.FAULT, f"the picture was {age_ms:.0f} ms old when decided, more than the {self._max_age_ms} allowed"
        return outcome, reason
