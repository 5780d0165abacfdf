"""A start waits for what is not there, says so once, and can be stopped."""

from __future__ import annotations

import threading

import pytest

from edge.clock import ManualClock
from edge.errors import CameraOpenError, ConfigError
from edge.supervision.hardware_wait import HardwareWait, StoppedWaitingError
from edge.supervision.service_manager import ServiceManager


def test_it_tries_again_until_it_is_there_and_tells_each_reason_once() -> None:
    reasons = ["no camera", "no camera", "it is busy"]
    said: list[str] = []

    def attempt() -> str:
        if reasons:
            raise CameraOpenError(reasons.pop(0))
        return "camera"

    wait = HardwareWait(True, ServiceManager({}), threading.Event(), ManualClock(), said.append)
    assert wait.opened(attempt) == "camera"
    assert said == ["waiting: no camera", "waiting: it is busy"]


@pytest.mark.parametrize("error", [CameraOpenError("no camera"), ConfigError("a wrong key")])
def test_what_is_not_wanted_or_will_not_come_is_not_waited_for(error: Exception) -> None:
    def attempt() -> None:
        raise error

    wait = HardwareWait(isinstance(error, ConfigError), ServiceManager({}), threading.Event(), ManualClock(), print)
    with pytest.raises(type(error)):
        wait.opened(attempt)


def test_it_can_be_stopped() -> None:
    stop = threading.Event()

    def attempt() -> None:
        stop.set()
        raise CameraOpenError("no camera")

    with pytest.raises(StoppedWaitingError):
        HardwareWait(True, ServiceManager({}), stop, ManualClock(), print).opened(attempt)
