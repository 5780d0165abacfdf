"""A picture for every part: taken after its trigger, not long after it, and never another part's."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

import numpy as np
import pytest

from edge.cameras.base import Camera
from edge.cameras.lasting_camera import LastingCamera
from edge.clock import ManualClock
from edge.errors import CameraLostError, CameraOpenError, EndOfStream
from edge.frame import Image
from edge.line.part_feed import AheadFeed, FreeFeed, Seen, TriggeredFeed
from edge.line.part_tracker import Part

MS = 1_000_000
STOP = threading.Event()


class LiveCamera(Camera):
    """Gives pictures exposed at the times told; each read lets ``takes_ms`` pass. Its grey level is the number of the picture.

    ``since_ms``: from when on it has given the same one, by number.
    """

    live = True

    def __init__(self, clock: ManualClock, exposed_ms: list[int | Exception], takes_ms: int = 1) -> None:
        super().__init__("live")
        self.clock, self.script, self.takes_ms, self.given = clock, exposed_ms, takes_ms, 0
        self.closed_by: list[str] = []
        self.since_ms: dict[int, int] = {}

    def _read_impl(self, timeout_ms: int) -> tuple[object, int, str]:
        self.clock.advance_ms(min(self.takes_ms, timeout_ms))
        if not self.script:
            raise EndOfStream("live: the end")
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        self.given += 1
        self._still_ns = (step - self.since_ms.get(self.given, step)) * MS
        return np.full((8, 8, 3), self.given, np.uint8), step * MS, f"live#{self.given}"

    def _close_impl(self) -> None:
        self.closed_by.append(threading.current_thread().name)


def lasting(camera: Camera, clock: ManualClock, reopen: Callable[[], Camera] | None = None) -> LastingCamera:
    return LastingCamera(camera, reopen or (lambda: camera), clock)


def same(image: Image) -> Image:
    return image


def triggered(
    camera: Camera, clock: ManualClock, *trigger_ms: int, deadline_ms: int = 100, lead_ms: int = 0, frozen_ns: int | None = 250 * MS
) -> TriggeredFeed:
    parts: queue.SimpleQueue[Part] = queue.SimpleQueue()
    for number, at in enumerate(trigger_ms):
        parts.put(Part(number, at * MS, (at + deadline_ms) * MS, None, None, None))
    return TriggeredFeed(lasting(camera, clock), same, clock, parts, lead_ms * MS, 30 * MS, frozen_ns)


def first(feed: TriggeredFeed) -> Seen:
    seen = feed.next(STOP)
    assert seen is not None
    return seen


def test_a_picture_from_before_the_trigger_is_not_taken_for_the_part() -> None:
    clock = ManualClock(50 * MS)
    seen = first(triggered(LiveCamera(clock, [20, 49, 52]), clock, 50))
    assert (seen.part_id, seen.trigger_ns, seen.source, seen.fault) == (0, 50 * MS, "live#3", "")
    assert seen.image is not None
    assert seen.image[0, 0, 0] == 3


def test_an_exposure_that_may_have_begun_before_the_trigger_does_not_count() -> None:
    clock = ManualClock(50 * MS)
    assert first(triggered(LiveCamera(clock, [52, 65]), clock, 50, lead_ms=10)).source == "live#2"


def test_a_picture_that_was_given_before_the_trigger_and_again_after_it_is_not_the_part_s() -> None:
    clock = ManualClock(50 * MS)
    camera = LiveCamera(clock, [40, 51, 68, 74])
    camera.since_ms = {2: 40, 3: 51, 4: 74}
    assert first(triggered(camera, clock, 50)).source == "live#3"


def test_a_camera_that_froze_shortly_before_the_trigger_gives_no_picture_of_the_part() -> None:
    clock = ManualClock(50 * MS)
    camera = LiveCamera(clock, [51, 67, 83])
    camera.since_ms = dict.fromkeys((1, 2, 3), 20)
    seen = first(triggered(camera, clock, 50))
    assert seen.image is None
    assert "after the trigger" in seen.fault


def test_a_picture_that_stood_still_for_long_goes_to_who_says_that_it_is_frozen() -> None:
    clock = ManualClock(500 * MS)
    camera = LiveCamera(clock, [501])
    camera.since_ms = {1: 100}
    assert first(triggered(camera, clock, 500)).source == "live#1"


def test_where_pictures_have_no_noise_a_still_one_is_the_part_s() -> None:
    clock = ManualClock(50 * MS)
    camera = LiveCamera(clock, [51])
    camera.since_ms = {1: 20}
    assert first(triggered(camera, clock, 50, frozen_ns=None)).source == "live#1"


def test_a_picture_long_after_the_trigger_may_show_another_part() -> None:
    clock = ManualClock(50 * MS)
    seen = first(triggered(LiveCamera(clock, [81]), clock, 50))
    assert seen.image is None
    assert "31.0 ms after the trigger" in seen.fault


def test_without_a_picture_before_the_deadline_the_part_is_at_fault_and_the_camera_is_not_waited_for_longer() -> None:
    clock = ManualClock(50 * MS)
    camera = LiveCamera(clock, [49] * 1000, takes_ms=7)
    seen = first(triggered(camera, clock, 50))
    assert "no picture exposed after the trigger" in seen.fault
    assert clock.monotonic_ns() <= 151 * MS


def test_each_trigger_has_a_picture_of_its_own() -> None:
    clock = ManualClock(50 * MS)
    feed = triggered(LiveCamera(clock, [51, 71, 72]), clock, 50, 70)
    assert [first(feed).source, first(feed).source] == ["live#1", "live#2"]
    assert feed.next(STOP) is None


def test_a_lost_camera_is_the_fault_of_every_part_until_it_is_back() -> None:
    clock = ManualClock()
    attempts: list[Camera | Exception] = [CameraOpenError("not there"), LiveCamera(clock, [9600])]

    def reopen() -> Camera:
        attempt = attempts.pop(0)
        if isinstance(attempt, Exception):
            raise attempt
        return attempt

    camera = LiveCamera(clock, [CameraLostError("unplugged")])
    parts: queue.SimpleQueue[Part] = queue.SimpleQueue()
    feed = TriggeredFeed(lasting(camera, clock, reopen), same, clock, parts, 0, 30 * MS)
    told = []
    for at in (0, 100, 300, 400, 9590):
        clock.advance_ms(max(0, at - clock.monotonic_ns() // MS))
        parts.put(Part(0, at * MS, (at + 90) * MS, None, None, None))
        told.append(first(feed).fault)
    assert told == ["unplugged", "live: is lost; it is tried again", "not there", "not there; it is tried again", ""]


def test_the_wait_between_attempts_doubles_up_to_a_limit() -> None:
    clock = ManualClock()

    def never() -> Camera:
        raise CameraOpenError("not there")

    camera = lasting(LiveCamera(clock, [CameraLostError("unplugged")]), clock, never)
    waits = []
    for _ in range(8):
        with pytest.raises(CameraLostError):
            camera.read(10)
        waits.append(camera.retry_in_ns // MS)
        clock.advance_ms(camera.retry_in_ns / MS)
    assert waits == [250, 500, 1000, 2000, 4000, 8000, 15000, 15000]


def test_what_the_preparation_throws_is_the_part_s_fault() -> None:
    clock = ManualClock()

    def broken(image: Image) -> Image:
        raise ZeroDivisionError("a bug")

    feed = FreeFeed(lasting(LiveCamera(clock, [0]), clock), broken, clock, 10, first_part_id=7)
    seen = feed.next(STOP)
    assert seen is not None
    assert (seen.part_id, seen.fault, seen.image) == (7, "unexpected ZeroDivisionError: a bug", None)
    assert seen.frame is not None


def test_reading_ahead_gives_the_same_parts_in_the_same_order_and_then_the_end() -> None:
    clock, stop = ManualClock(), threading.Event()
    camera = LiveCamera(clock, list(range(20)))
    ahead = AheadFeed(FreeFeed(lasting(camera, clock), same, clock, 10), stop)
    sources = []
    with pytest.raises(EndOfStream):
        while True:
            seen = ahead.next(stop)
            if seen is not None:
                sources.append((seen.part_id, seen.source))
    assert sources == [(number, f"live#{number + 1}") for number in range(20)]
    ahead.close()
    ahead.close()
    assert len(camera.closed_by) == 1


def test_reading_ahead_holds_one_part_ready_and_no_more() -> None:
    clock, stop = ManualClock(), threading.Event()
    camera = LiveCamera(clock, list(range(1000)))
    ahead = AheadFeed(FreeFeed(lasting(camera, clock), same, clock, 10), stop)
    assert ahead.next(stop) is not None
    ahead.close()
    assert camera.given <= 3


def test_a_stop_ends_it_without_another_part() -> None:
    clock, stop = ManualClock(), threading.Event()
    ahead = AheadFeed(FreeFeed(lasting(LiveCamera(clock, list(range(9))), clock), same, clock, 10), stop)
    stop.set()
    assert ahead.next(stop) is None
    ahead.close()
