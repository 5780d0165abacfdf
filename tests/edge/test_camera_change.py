"""A camera opened anew while it is read, since another product wants other settings."""

from __future__ import annotations

import numpy as np
import pytest

from edge.cameras.lasting_camera import LastingCamera
from edge.clock import ManualClock
from edge.errors import CameraLostError, CameraOpenError
from tests.edge.test_inspection_loop import ScriptedCamera

DARK, BRIGHT = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 200, np.uint8)


def test_the_next_read_is_of_the_new_one_and_the_old_one_is_closed_before_it_is_opened() -> None:
    old, new = ScriptedCamera([DARK, DARK]), ScriptedCamera([BRIGHT, CameraLostError("gone")])
    lasting = LastingCamera(old, lambda: old, ManualClock())
    assert lasting.read(10).image.max() == 0
    closed_first = []

    def opener() -> ScriptedCamera:
        closed_first.append(old._closed)
        return new

    lasting.change(opener)
    assert not old._closed  # only the thread that reads may close it
    assert lasting.read(10).image.max() == 200
    with pytest.raises(CameraLostError):
        lasting.read(10)
    assert closed_first == [True]


def test_a_lost_camera_is_tried_at_once_with_the_new_settings_and_with_them_from_then_on() -> None:
    clock, tries = ManualClock(), list[str]()

    def fails(what: str) -> ScriptedCamera:
        tries.append(what)
        raise CameraOpenError(f"{what} does not open")

    lasting = LastingCamera(ScriptedCamera([CameraLostError("gone")]), lambda: fails("old"), clock)
    for _ in range(3):
        with pytest.raises(CameraLostError):
            lasting.read(10)
    assert lasting.retry_in_ns > 0
    lasting.change(lambda: fails("new"))
    assert lasting.retry_in_ns == 0
    with pytest.raises(CameraLostError, match="new does not open"):
        lasting.read(10)
    assert lasting.retry_in_ns > 0
    clock.advance_ms(60_000)
    with pytest.raises(CameraLostError):
        lasting.read(10)
    assert tries[-2:] == ["new", "new"]
