"""The pictures of a recorded run as a camera: once each, in order, and where none came, none comes."""

from __future__ import annotations

from edge.cameras.base import Camera
from edge.clock import Clock
from edge.errors import CameraTimeoutError, EndOfStream
from edge.records.recorded_run import RecordedRun


class RecordedCamera(Camera):
    """A part without a picture is a CameraTimeoutError with the recorded reason, one with another than the recorded a FrameError.

    Pictures are told to be exposed now: how old one was when it was decided is not of the picture (see ``ReplayedLine``).
    """

    def __init__(self, run: RecordedRun, clock: Clock) -> None:
        super().__init__(f"recorded://{run.folder}")
        self._run, self._clock = run, clock
        self._parts = iter(run.parts)

    def _read_impl(self, timeout_ms: int) -> tuple[object, int, str]:  # noqa: ARG002 - a file does not keep one waiting
        part = next(self._parts, None)
        if part is None:
            raise EndOfStream(f"{self.name}: no more parts")
        exposed_ns = self._clock.monotonic_ns()
        if part.frame is None:
            raise CameraTimeoutError(part.verdict.reason or f"part {part.part_id}: no picture came")
        return self._run.image(part), exposed_ns, part.source

    def _close_impl(self) -> None:
        self._parts = iter(())
