"""Pictures taken when the station's trigger sees a part."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from edge.cameras.base import Camera
from edge.capture.capture_run import MOST_OLD, take_pictures
from edge.capture.capture_session import CaptureSession
from edge.capture.capture_trigger import IntervalTrigger
from edge.capture.part_trigger import PartTrigger, part_or_interval
from edge.clock import Clock, ManualClock, SystemClock
from edge.errors import CameraTimeoutError, LineError
from edge.gpio.base import OutputLine
from edge.gpio.recording import RecordingLine
from edge.line.station_view import View
from edge.station_config import StationConfig
from edge.storage.strict_yaml import parse
from edge.triggers.base import Trigger, TriggerEvent
from edge.triggers.software import SOCKET, TriggerSender
from tests.different_parts import different_part

MS = 1_000_000


class ScriptedTrigger(Trigger):
    """Gives one list of events after the other, 100 ms apart; then fails."""

    name = "scripted"

    def __init__(self, script: list[list[int]], clock: ManualClock) -> None:
        self.script, self.clock = script, clock

    def wait(self, timeout_s: float) -> list[TriggerEvent]:
        self.clock.advance_ms(timeout_s * 1e3)
        if not self.script:
            raise LineError("the eye is gone")
        return [TriggerEvent(at_ns) for at_ns in self.script.pop(0)]

    def close(self) -> None:
        pass


class SlowCamera(Camera):
    """Live; each frame was exposed ``age_ms`` before it is read, and reading takes 10 ms."""

    live = True

    def __init__(self, clock: ManualClock, age_ms: float) -> None:
        super().__init__("slow")
        self.clock, self.age_ms, self.exposed = clock, age_ms, list[int]()

    def _read_impl(self, timeout_ms: int) -> tuple[object, int, str]:
        self.clock.advance_ms(10)
        self.exposed.append(self.clock.monotonic_ns() - round(self.age_ms * 1e6))
        return different_part(len(self.exposed)), self.exposed[-1], "slow"

    def _close_impl(self) -> None:
        pass


def session(folder: Path) -> CaptureSession:
    return CaptureSession(folder, "s", "slow", View(region=None, ignore_mask_sha256=None), None, ManualClock())


def test_a_picture_is_of_the_newest_part_and_exposed_after_it(tmp_path: Path) -> None:
    clock, seen = ManualClock(), list[int]()
    trigger = PartTrigger(ScriptedTrigger([[], [150 * MS], [], [210 * MS, 290 * MS]], clock), 5 * MS, seen.append)
    camera, took = SlowCamera(clock, 55), list[int]()
    with session(tmp_path) as one:
        take_pictures(one, camera, trigger, threading.Event(), 2, 100, lambda *_: took.append(camera.exposed[-1]))
        assert one.kept == 2
    assert seen == [150 * MS, 210 * MS, 290 * MS]
    assert 155 * MS <= took[0] < 166 * MS
    assert took[1] >= 295 * MS


def test_a_trigger_that_fails_and_a_camera_of_another_clock_end_it(tmp_path: Path) -> None:
    clock = ManualClock()
    never = threading.Event()
    broken = PartTrigger(ScriptedTrigger([], clock), 0, lambda _: None)
    with session(tmp_path / "a") as one, pytest.raises(LineError, match="the eye is gone"):
        take_pictures(one, SlowCamera(clock, 0), broken, never, 1, 100, lambda *_: None)
    camera = SlowCamera(clock, 10_000)
    script = [[clock.monotonic_ns()] for _ in range(9)]
    with session(tmp_path / "b") as one, pytest.raises(CameraTimeoutError, match="before the part came"):
        take_pictures(one, camera, PartTrigger(ScriptedTrigger(script, clock), 0, lambda _: None), never, 1, 100, lambda *_: None)
    assert len(camera.exposed) % MOST_OLD == 0
    assert one.kept == 0


def test_told_to_stop_it_waits_no_longer() -> None:
    stop = threading.Event()
    stop.set()
    assert not PartTrigger(ScriptedTrigger([[1]], ManualClock()), 0, lambda _: None).wait(stop)


@pytest.mark.parametrize(
    ("content", "every", "live", "by_part"),
    [
        ({"trigger": {"kind": "software"}}, None, True, True),
        ({"trigger": {"kind": "software"}}, 0.2, True, False),
        ({"trigger": {"kind": "software"}}, None, False, False),
        ({}, None, True, False),
    ],
)
def test_the_stations_trigger_unless_an_interval_is_asked_for(
    tmp_path: Path, content: dict[str, object], every: float | None, live: bool, by_part: bool
) -> None:
    station = parse(StationConfig, content, "test")
    camera = SlowCamera(ManualClock(), 0)
    camera.live = live
    with ExitStack() as stack:
        trigger, words = part_or_interval(station, tmp_path, camera, every, SystemClock(), stack)
        assert isinstance(trigger, PartTrigger if by_part else IntervalTrigger)
        assert bool(words) == by_part
        assert (tmp_path / SOCKET).exists() == by_part
        if by_part:
            sender = TriggerSender(tmp_path / SOCKET)
            sender.send()
            sender.close()
            assert trigger.wait(threading.Event())
            assert trigger.after_ns > 0
    assert not (tmp_path / SOCKET).exists()


def test_the_light_comes_with_the_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[RecordingLine] = []

    def open_line(name: str, config: object, safe: bool, backend: str, clock: Clock) -> OutputLine:
        opened.append(RecordingLine(name, safe, clock))
        return opened[-1]

    monkeypatch.setattr("edge.capture.part_trigger.open_line", open_line)
    station = parse(StationConfig, {"trigger": {"kind": "software"}, "strobe": {"lead_ms": 1, "duration_ms": 50}}, "test")
    with ExitStack() as stack:
        trigger, _ = part_or_interval(station, tmp_path, SlowCamera(ManualClock(), 0), None, SystemClock(), stack)
        sender = TriggerSender(tmp_path / SOCKET)
        sender.send()
        assert trigger.wait(threading.Event())
        sender.close()
    (strobe,) = opened
    assert [value for _, value in strobe.changes] == [False, True, False]
    assert strobe.released
