"""The stages joined: frame → engine → decision → reject line → record. No arithmetic of its own."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from edge.bound_slot import BoundSlot
from edge.calibration_slot import CalibrationSlot
from edge.cameras.base import Camera
from edge.clock import Clock
from edge.decision import decide
from edge.engines.base import Engine
from edge.errors import CameraError, CameraLostError, CameraOpenError, EdgeInspectError, EndOfStream, SlotError
from edge.frame import Frame
from edge.reject_line import RejectLine
from edge.slot_watcher import SlotWatcher
from edge.station_config import CameraConfig
from edge.station_view import StationView
from edge.verdict import Outcome, Scores, Verdict

REOPEN_NS = 1_000_000_000
FIRST_PAUSE_NS = 10_000_000
LONGEST_PAUSE_NS = 1_000_000_000
"""After reads that failed at once, one after the other, the pause doubles: such a camera sets no pace of its own."""


class InspectionLoop:
    """Inspects frame after frame until told to stop, the source ends, or a line can no longer be driven (LineError).

    Whatever else goes wrong with a frame is its FAULT verdict, the line says reject, and the next frame is tried.
    ``engine`` is bound to ``slot``; another one that ``slots`` has ready is taken between two parts. ``report`` gets every verdict
    after the line was driven.
    """

    def __init__(
        self,
        open_camera: Callable[[], Camera],
        camera: Camera,
        engine: Engine,
        slot: CalibrationSlot,
        view: StationView,
        reject: RejectLine,
        clock: Clock,
        camera_config: CameraConfig,
        report: Callable[[Verdict], None],
        slots: SlotWatcher | None = None,
    ) -> None:
        self._open_camera, self._camera, self._slots = open_camera, camera, slots
        self._bound, self._any_view = BoundSlot(engine, slot), view
        self._view = view.expecting(slot.record.frame_size)
        self._reject, self._clock, self._camera_config, self._report = reject, clock, camera_config, report
        self.counts: Counter[Outcome] = Counter()
        self._lost = False
        self._failed_at_once = 0

    @property
    def slot(self) -> CalibrationSlot:
        """The one that decides; while a verdict is reported, the one it was made with."""
        return self._bound.slot

    def run(self, stop: threading.Event, max_frames: int | None = None) -> None:
        """Return on ``stop``, after ``max_frames`` verdicts, or at the end of a recording."""
        part = 0
        while not stop.is_set() and (max_frames is None or part < max_frames):
            self._take_slot()
            try:
                verdict = self._inspect(part)
            except EndOfStream:
                return
            self._reject.apply(verdict.outcome, verdict.exposed_ns)
            self.counts[verdict.outcome] += 1
            self._report(verdict)
            part += 1
            if self._lost:
                self._reopen(stop)
            elif self._failed_at_once:
                self._clock.wait(stop, min(LONGEST_PAUSE_NS, FIRST_PAUSE_NS << min(self._failed_at_once - 1, 10)))

    def close(self) -> None:
        """Close the camera. Make the lines safe first: a camera may take seconds."""
        self._camera.close()

    def _take_slot(self) -> None:
        slot = self._slots.take() if self._slots is not None else None
        if self._slots is None or slot is None or slot.record == self._bound.slot.record:
            return
        try:
            self._bound.change_to(slot)
        except SlotError as error:
            self._slots.answer(slot, str(error))
        else:
            self._view = self._any_view.expecting(slot.record.frame_size)
            self._slots.answer(slot)

    def _inspect(self, part: int) -> Verdict:
        self._lost = failed_at_once = False
        record = self._bound.slot.record
        started = self._clock.monotonic_ns()
        stages: dict[str, float] = {}
        frame: Frame | None = None
        scores: Scores | None = None
        source = self._camera.name
        mark = started

        def stage(name: str) -> None:
            nonlocal mark
            now = self._clock.monotonic_ns()
            stages[name], mark = (now - mark) / 1e6, now

        try:
            frame = self._camera.read(self._camera_config.read_timeout_ms)
            source = frame.source
            stage("capture")
            image = self._view.preprocess(frame.image)
            stage("preprocess")
            scores = self._bound.infer(image)
            stage("engine")
            outcome, reason = decide(scores, record.threshold)
            age_ms = (self._clock.monotonic_ns() - frame.exposed_ns) / 1e6
            if age_ms > self._camera_config.max_age_ms:
                outcome = Outcome.FAULT
                reason = f"the picture was {age_ms:.0f} ms old when decided, more than the {self._camera_config.max_age_ms} allowed"
            stage("decision")
        except EndOfStream:
            raise
        except EdgeInspectError as error:
            self._lost = isinstance(error, CameraLostError)
            failed_at_once = frame is None and not isinstance(error, CameraError)
            outcome, reason = Outcome.FAULT, str(error)
        except Exception as error:  # not foreseen, and therefore not known to be good
            failed_at_once = frame is None
            outcome, reason = Outcome.FAULT, f"unexpected {type(error).__name__}: {error}"
        self._failed_at_once = self._failed_at_once + 1 if failed_at_once else 0
        return Verdict(
            part_id=part,
            outcome=outcome,
            reason=reason,
            source=source,
            trigger_ns=started,
            exposed_ns=frame.exposed_ns if frame is not None else None,
            decided_ns=self._clock.monotonic_ns(),
            wall_ns=self._clock.wall_ns(),
            scores=scores,
            threshold=record.threshold,
            calibration_serial=record.serial,
            stage_ms=stages,
            degraded=self._bound.degraded,
        )

    def _reopen(self, stop: threading.Event) -> None:
        """Until the camera is back the gate stays closed: it opens on a PASS only."""
        self._camera.close()
        while not self._clock.wait(stop, REOPEN_NS):
            try:
                self._camera = self._open_camera()
                return
            except CameraOpenError:
                continue
