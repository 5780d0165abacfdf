"""A camera opened anew while it is read, since another product wants other settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge.cameras.camera_settings import CameraSettings
from edge.cameras.lasting_camera import LastingCamera
from edge.clock import Clock, ManualClock
from edge.errors import CameraLostError, CameraOpenError
from edge.products.product_camera import ProductCamera
from edge.station_config import CameraConfig
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


class Adjustable(ScriptedCamera):
    """A live camera that does as its configuration says, but for a gain above 8."""

    live = True

    def __init__(self, config: CameraConfig) -> None:
        super().__init__([BRIGHT] * 3)
        self.config = config

    def _lock_exposure_impl(self) -> CameraSettings:
        gain = None if self.config.gain is None else min(self.config.gain, 8.0)
        return CameraSettings(exposure_us=self.config.exposure_us, gain=gain)


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> list[Adjustable]:
    opened: list[Adjustable] = []

    def open_one(config: CameraConfig, clock: Clock, shared: Path | None = None) -> Adjustable:
        opened.append(Adjustable(config))
        return opened[-1]

    monkeypatch.setattr("edge.cameras.open_camera.open_camera", open_one)
    return opened


def test_it_is_opened_anew_only_where_the_product_wants_other_settings(devices: list[Adjustable], tmp_path: Path) -> None:
    cap, lid = CameraConfig(), CameraConfig(exposure_us=6000)
    settings = CameraSettings(exposure_us=4000, gain=2)
    cameras = ProductCamera(tmp_path, ManualClock(), pytest.fail)
    camera = cameras.open(cap, settings, lambda attempt: attempt())
    cameras.suit(camera, cap, settings)
    camera.read(10)
    assert len(devices) == 1
    cameras.suit(camera, lid, CameraSettings(exposure_us=6000, gain=3))
    assert len(devices) == 1  # not by the thread that wants it
    camera.read(10)
    assert [(one.config.exposure_us, one.config.gain, one._closed) for one in devices] == [(4000, 2, True), (6000, 3, False)]
    camera.close()
    cameras.close()


def test_one_that_does_not_obey_is_lost_until_another_product_is_wanted(devices: list[Adjustable], tmp_path: Path) -> None:
    config, wild = CameraConfig(), CameraSettings(gain=20)
    cameras = ProductCamera(tmp_path, ManualClock(), pytest.fail)
    camera = cameras.open(config, CameraSettings(gain=2), lambda attempt: attempt())
    cameras.suit(camera, config, wild)
    with pytest.raises(CameraLostError, match="was calibrated with gain 20, now it has gain 8"):
        camera.read(10)
    cameras.suit(camera, config, CameraSettings(gain=4))
    assert camera.read(10).image.max() == 200
    assert [one._closed for one in devices] == [True, True, False]
    camera.close()
    cameras.close()


def test_a_folder_is_as_it_is(tmp_path: Path, write_parts: Callable[..., Path]) -> None:
    config = CameraConfig(source=str(write_parts(tmp_path / "parts", 2)))
    cameras = ProductCamera(tmp_path, ManualClock(), pytest.fail)
    camera = cameras.open(config, None, lambda attempt: attempt())
    first = camera.read(10)
    cameras.suit(camera, config.model_copy(update={"gain": 4.0}), None)
    assert camera.read(10).source != first.source  # the folder does not begin anew
    camera.close()
    cameras.close()
