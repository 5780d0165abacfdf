"""What a soak puts around the real stages: a trigger, a camera and an engine that go wrong as a seeded script says."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from edge import graph_contract
from edge.cameras.base import Camera
from edge.clock import Clock
from edge.engines.base import Engine, Outputs
from edge.errors import CameraLostError, CameraTimeoutError, EngineError
from edge.frame import Image
from edge.inspection_loop import Feed
from edge.line.part_feed import Seen
from edge.line.part_tracker import Part, PartTiming
from edge.slots.calibration_tensors import CalibrationTensors
from edge.triggers.base import Trigger, TriggerEvent

BAD_SHARE, FAULT_SHARE = 0.02, 0.03
LOST_EVERY, LOST_AT = 10_000, 150
"""A camera lost more often is waited for ever longer (edge/supervision/backoff.py), and then nothing else is tested."""
MOST_WAITING = 2
"""Parts without a verdict, where the stages set the pace."""
SILENCE_S = 10.0


class Kind(IntEnum):
    """What is done to a part."""

    GOOD = 0
    BAD = 1
    """A picture with a defect."""
    TIMEOUT = 2
    LOST = 3
    BLACK = 4
    ENGINE_ERROR = 5
    NAN = 6
    LATE_VERDICT = 7
    """The engine takes longer than the deadline."""
    DOUBLE_TRIGGER = 8
    """The sensor bounces: one part, that may well be good."""
    TOO_CLOSE = 9
    """Two parts that cannot be told apart at the arm."""

    @property
    def words(self) -> str:
        """For people."""
        return self.name.lower().replace("_", " ")

    @property
    def may_pass(self) -> bool:
        """Whether a part of this kind may go on."""
        return self in (Kind.GOOD, Kind.DOUBLE_TRIGGER)


ANY_TIME = [kind for kind in Kind if kind not in (Kind.GOOD, Kind.BAD, Kind.LOST)]


class Script:
    """Which kind each trigger is; ``kinds[part_id - first]`` once its part was accepted.

    faults: without them there are good and bad parts only.
    """

    def __init__(self, parts: int, first_part_id: int, faults: bool, seed: int) -> None:
        self.parts, self._first, self._faults = parts, first_part_id, faults
        self._random = np.random.default_rng(seed)
        self._shuffled: list[Kind] = []
        self.kinds: NDArray[np.uint8] = np.full(parts, Kind.GOOD, np.uint8)
        self.accepted = self.judged = 0

    def next(self) -> Kind:
        """Of the next trigger. The kinds of fault come equally often, in an order of chance."""
        if self._faults and self.accepted % LOST_EVERY == LOST_AT:
            return Kind.LOST
        chance = self._random.random()
        if self._faults and chance < FAULT_SHARE:
            if not self._shuffled:
                self._shuffled = [ANY_TIME[i] for i in self._random.permutation(len(ANY_TIME))]
            kind = self._shuffled.pop()
            return Kind.GOOD if kind is Kind.TOO_CLOSE and self.parts - self.accepted < 2 else kind
        return Kind.BAD if chance > 1 - BAD_SHARE else Kind.GOOD

    def accept(self, part: Part, kind: Kind) -> None:
        """A trigger of ``kind`` made ``part``."""
        self.kinds[part.part_id - self._first] = kind
        self.accepted += 1

    def of(self, part_id: int) -> Kind:
        """What is done to this part."""
        return Kind(self.kinds[part_id - self._first])


class ScriptedTrigger(Trigger):
    """Parts as ``script`` has them. rate: of triggers, in a second; None: as soon as ``timing`` and ``MOST_WAITING`` allow.

    ``given`` counts events. ``silent`` is called when all parts were given and no verdict came for ``SILENCE_S``.
    """

    name = "scripted trigger"

    def __init__(self, script: Script, timing: PartTiming, rate: float | None, clock: Clock, silent: Callable[[], None]) -> None:
        self._script, self._timing, self._clock, self._silent = script, timing, clock, silent
        self._pitch_ns = timing.spacing if rate is None else round(1e9 / rate)
        self._waits_for_verdicts = rate is None
        self._due_ns = clock.monotonic_ns()
        self._kind = Kind.GOOD
        self._idle = threading.Event()
        self._judged_last, self._judged_ns = 0, 0
        self.given = 0

    def wait(self, timeout_s: float) -> list[TriggerEvent]:
        script = self._script
        if script.accepted >= script.parts:
            self._watch_for_silence()
            self._clock.wait(self._idle, round(timeout_s * 1e9))
            return []
        left_ns = round(timeout_s * 1e9)
        while self._waits_for_verdicts and script.accepted - script.judged >= MOST_WAITING:
            self._clock.wait(self._idle, 200_000)
            left_ns -= 200_000
            if left_ns <= 0:
                return []
        self._until(self._due_ns)
        at_ns = self._clock.monotonic_ns()
        self._kind = script.next()
        times = [at_ns]
        if self._kind is Kind.DOUBLE_TRIGGER:
            times.append(at_ns + self._timing.debounce // 2)
        elif self._kind is Kind.TOO_CLOSE:
            times.append(at_ns + (self._timing.debounce + self._timing.spacing) // 2)
        self._until(times[-1])
        self._due_ns = times[-1] + self._pitch_ns
        self.given += len(times)
        return [TriggerEvent(one) for one in times]

    def accepted(self, part: Part) -> None:
        """For TriggerWatch: a trigger made ``part``."""
        self._script.accept(part, self._kind)

    def close(self) -> None:
        self._idle.set()

    def _until(self, at_ns: int) -> None:
        left_ns = at_ns - self._clock.monotonic_ns()
        if left_ns > 0:
            self._clock.wait(self._idle, left_ns)

    def _watch_for_silence(self) -> None:
        now = self._clock.monotonic_ns()
        if self._script.judged != self._judged_last or not self._judged_ns:
            self._judged_last, self._judged_ns = self._script.judged, now
        elif now - self._judged_ns > SILENCE_S * 1e9:
            self._silent()


class NotedParts(queue.SimpleQueue[Part]):
    """The parts that wait for their picture; ``current`` is the one that was taken last."""

    current: Part | None = None

    def get(self, block: bool = True, timeout: float | None = None) -> Part:
        """As SimpleQueue.get."""
        self.current = super().get(block, timeout)
        return self.current


class ScriptedCamera(Camera):
    """A live camera with a picture of whatever part is in front of it, uint8 height×width×3, exposed when it is asked for."""

    live = True

    def __init__(self, script: Script, parts: NotedParts, good: list[Image], bad: list[Image], clock: Clock) -> None:
        super().__init__("scripted camera")
        self._script, self._parts, self._good, self._bad, self._clock = script, parts, good, bad, clock
        self._black = np.zeros_like(good[0])
        self._never = threading.Event()

    def _read_impl(self, timeout_ms: int) -> tuple[object, int, str]:
        assert self._parts.current is not None
        part_id = self._parts.current.part_id
        kind = self._script.of(part_id)
        if kind is Kind.TIMEOUT:
            self._clock.wait(self._never, timeout_ms * 1_000_000)
            raise CameraTimeoutError(f"{self.name}: no frame within {timeout_ms} ms; it is left out on purpose")
        if kind is Kind.LOST:
            raise CameraLostError(f"{self.name}: is unplugged on purpose")
        pictures = self._bad if kind is Kind.BAD else self._good
        image = self._black if kind is Kind.BLACK else pictures[part_id % len(pictures)]
        self._driver_ns = self._clock.monotonic_ns()
        return image, self._driver_ns, f"{self.name}#{part_id}"

    def _close_impl(self) -> None:
        self._never.set()


class NotedFeed:
    """A feed that tells ``engine`` what is to be done to the part it comes to."""

    def __init__(self, feed: Feed, script: Script, engine: ScriptedEngine) -> None:
        self._feed, self._script, self._engine = feed, script, engine

    def next(self, stop: threading.Event) -> Seen | None:
        """As PartFeed.next."""
        seen = self._feed.next(stop)
        if seen is not None:
            self._engine.kind, self._engine.image = self._script.of(seen.part_id), seen.image
        return seen


class ScriptedEngine(Engine):
    """``engine``, but for the picture ``image``, to which ``kind`` is done; a self-test has others."""

    def __init__(self, engine: Engine, late_ns: int, clock: Clock) -> None:
        super().__init__(engine.shape)
        self._engine, self._late_ns, self._clock = engine, late_ns, clock
        self._never = threading.Event()
        self.kind = Kind.GOOD
        self.image: Image | None = None

    @property
    def runtime(self) -> str:
        return self._engine.runtime

    def _bind_impl(self, tensors: CalibrationTensors) -> None:
        self._engine.bind(tensors)

    def _run_impl(self, image: Image, names: tuple[str, ...]) -> Outputs:
        kind = self.kind if self.image is not None and np.may_share_memory(image, self.image) else Kind.GOOD
        if kind is Kind.ENGINE_ERROR:
            raise EngineError(f"{self.runtime}: fails on purpose")
        if kind is Kind.LATE_VERDICT:
            self._clock.wait(self._never, self._late_ns)
        outputs = self._engine._run_impl(image, names)
        if kind is Kind.NAN:
            outputs = outputs | {graph_contract.MAP_MEAN: np.full(1, np.nan, np.float32)}
        return outputs

    def _close_impl(self) -> None:
        self._never.set()
