"""A capture that stands for a driver: it stalls, dies or sends rubbish when it is told to."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edge.cameras.camera_settings import CameraSettings
from edge.cameras.live_capture import LiveCamera
from edge.clock import SystemClock

CLOCK = SystemClock()


class ScriptedCapture:
    """Gives what it is told to, when it is told to; stands for a driver that stalls, dies or sends rubbish."""

    def __init__(self) -> None:
        self.results: list[tuple[bool, object]] = []
        self.more = threading.Semaphore(0)
        self.released = threading.Event()

    def give(self, *results: tuple[bool, object]) -> None:
        for result in results:
            self.results.append(result)
            self.more.release()

    def read(self) -> tuple[bool, object]:
        self.more.acquire()
        result = self.results.pop(0)
        if isinstance(result[1], Exception):
            raise result[1]
        return result

    def release(self) -> None:
        self.released.set()


def scripted() -> tuple[ScriptedCapture, LiveCamera]:
    capture = ScriptedCapture()
    return capture, LiveCamera("scripted", capture, CLOCK)


def locked(lock: Callable[[], CameraSettings | None]) -> tuple[ScriptedCapture, LiveCamera]:
    capture = ScriptedCapture()
    return capture, LiveCamera("scripted", capture, CLOCK, lock)
