"""A picture for every part. Without triggers every frame is a part; with them a part is a trigger, and its frame comes after."""

from __future__ import annotations

import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from edge.cameras.lasting_camera import LastingCamera
from edge.clock import Clock
from edge.errors import CameraError, CameraLostError, EdgeInspectError, EndOfStream
from edge.frame import Frame, Image
from edge.line.part_tracker import Part

FIRST_PAUSE_NS = 10_000_000
LONGEST_PAUSE_NS = 1_000_000_000
"""After reads that failed at once, one after the other, the pause doubles: such a camera sets no pace of its own."""
IDLE_S = 0.1
"""So often a feed that has nothing to give returns, for the inspection to look after other things."""
CLOSE_S = 5.0


@dataclass(slots=True)
class Seen:
    """A part with its picture, or with the reason why there is none.

    image: uint8 height×width×3 for the engine. stage_ms: how long each stage took so far. lost: the camera is gone. at_once:
    reading failed in a way that takes no time.
    """

    part_id: int
    trigger_ns: int
    source: str
    frame: Frame | None = None
    image: Image | None = None
    fault: str = ""
    lost: bool = False
    at_once: bool = False
    stage_ms: dict[str, float] = field(default_factory=dict)


class PartFeed(ABC):
    """``next`` is called by one thread. ``prepare`` turns a camera's picture into the engine's."""

    def __init__(self, camera: LastingCamera, prepare: Callable[[Image], Image], clock: Clock) -> None:
        self._camera, self._prepare, self._clock = camera, prepare, clock

    @abstractmethod
    def next(self, stop: threading.Event) -> Seen | None:
        """The next part; None where there is none yet, or ``stop`` is set. Raises EndOfStream at the end of a recording."""

    def close(self) -> None:
        """Give the camera back; may be called twice."""
        self._camera.close()

    def _see(self, part_id: int, trigger_ns: int | None, read: Callable[[], Frame]) -> Seen:
        """Read and prepare; whatever goes wrong is the part's fault, and ends nothing, but the end of a recording."""
        started = self._clock.monotonic_ns()
        seen = Seen(part_id, started if trigger_ns is None else trigger_ns, self._camera.name)
        try:
            seen.frame = read()
            seen.source = seen.frame.source
            read_ns = self._clock.monotonic_ns()
            seen.stage_ms["capture"] = (read_ns - started) / 1e6
            seen.image = self._prepare(seen.frame.image)
            seen.stage_ms["preprocess"] = (self._clock.monotonic_ns() - read_ns) / 1e6
        except EndOfStream:
            raise
        except EdgeInspectError as error:
            seen.fault, seen.lost = str(error), isinstance(error, CameraLostError)
            seen.at_once = seen.frame is None and not isinstance(error, CameraError)
        except Exception as error:  # not foreseen, and therefore not known to be good
            seen.fault, seen.at_once = f"unexpected {type(error).__name__}: {error}", seen.frame is None
        return seen


class FreeFeed(PartFeed):
    """Every frame is a part. While the camera is gone there are none; the line falls back to reject by itself."""

    def __init__(
        self,
        camera: LastingCamera,
        prepare: Callable[[Image], Image],
        clock: Clock,
        read_timeout_ms: int,
        first_part_id: int = 0,
    ) -> None:
        super().__init__(camera, prepare, clock)
        self._timeout_ms, self._ids = read_timeout_ms, count(first_part_id)
        self._told_lost, self._failed_at_once = False, 0

    def next(self, stop: threading.Event) -> Seen | None:
        if self._told_lost:
            wait = min(self._camera.retry_in_ns, round(IDLE_S * 1e9))
            if wait and self._clock.wait(stop, wait):
                return None
            if self._camera.retry_in_ns:
                return None
            try:
                self._camera.reopen()
            except CameraLostError:
                return None
            self._told_lost = False
        if self._failed_at_once:
            pause = min(LONGEST_PAUSE_NS, FIRST_PAUSE_NS << min(self._failed_at_once - 1, 10))
            if self._clock.wait(stop, pause):
                return None
        seen = self._see(next(self._ids), None, lambda: self._camera.read(self._timeout_ms))
        self._told_lost = seen.lost
        self._failed_at_once = self._failed_at_once + 1 if seen.at_once else 0
        return seen


class TriggeredFeed(PartFeed):
    """``parts``: what ``TrackedLine.trigger`` accepted, put there by the thread that watches the trigger.

    lead_ns: a frame's exposure may have begun this long before its time stamp; a frame counts only if that, too, is after the
    trigger. within_ns: a frame later than this after the trigger may show another part, and is a FAULT. frozen_ns: the same picture
    for so long is a frozen one, which whoever judges it tells; None where pictures have no noise. A picture that was given before
    the trigger already, and again after it, does not show the part, whatever its time stamp.
    """

    def __init__(
        self,
        camera: LastingCamera,
        prepare: Callable[[Image], Image],
        clock: Clock,
        parts: queue.SimpleQueue[Part],
        lead_ns: int,
        within_ns: int,
        frozen_ns: int | None = None,
    ) -> None:
        super().__init__(camera, prepare, clock)
        self._parts, self._lead_ns, self._within_ns, self._frozen_ns = parts, lead_ns, within_ns, frozen_ns

    def next(self, stop: threading.Event) -> Seen | None:
        try:
            part = self._parts.get(timeout=IDLE_S)
        except queue.Empty:
            return None
        return None if stop.is_set() else self._see(part.part_id, part.trigger_ns, lambda: self._exposed_after(part))

    def _exposed_after(self, part: Part) -> Frame:
        while True:
            left_ms = (part.deadline_ns - self._clock.monotonic_ns()) // 1_000_000
            if left_ms <= 0:
                raise CameraError(
                    "no picture exposed after the trigger came before the deadline; check trigger, exposure and cable"
                )
            frame = self._camera.read(left_ms)
            after_ns = frame.exposed_ns - self._lead_ns - part.trigger_ns
            if self._camera.live and after_ns > self._within_ns:
                raise CameraError(
                    f"the picture was exposed {after_ns / 1e6:.1f} ms after the trigger, more than the {self._within_ns / 1e6:g} "
                    "allowed: it may show another part"
                )
            repeated = self._frozen_ns is not None and after_ns < frame.still_ns < self._frozen_ns
            if not self._camera.live or (after_ns >= 0 and not repeated):
                return frame


class AheadFeed:
    """The next part is read and prepared by a thread of its own while the engine is at this one.

    One part is held ready at most: more would only grow old. Nothing is read before the first ``next``. What ends the feed is
    raised by ``next``.
    """

    def __init__(self, feed: PartFeed, stop: threading.Event) -> None:
        self._feed, self._stop = feed, stop
        self._ready: queue.Queue[Seen | BaseException] = queue.Queue(1)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._started = False

    def next(self, stop: threading.Event) -> Seen | None:
        """As PartFeed.next."""
        if not self._started:
            self._started = True
            self._thread.start()
        try:
            ready = self._ready.get(timeout=IDLE_S)
        except queue.Empty:
            return None
        if isinstance(ready, BaseException):
            raise ready
        return None if stop.is_set() else ready

    def close(self) -> None:
        """Stop, then give the camera back; a driver that blocks is not waited for longer than five seconds."""
        self._closing.set()
        while not self._ready.empty():
            self._ready.get_nowait()
        if self._started:
            self._thread.join(CLOSE_S)
        self._feed.close()

    def _run(self) -> None:
        while not self._closing.is_set() and not self._stop.is_set():
            try:
                seen: Seen | BaseException | None = self._feed.next(self._stop)
            except BaseException as error:
                seen = error
            while seen is not None and not self._closing.is_set():
                try:
                    self._ready.put(seen, timeout=IDLE_S)
                    break
                except queue.Full:
                    continue
            if isinstance(seen, BaseException):
                return
