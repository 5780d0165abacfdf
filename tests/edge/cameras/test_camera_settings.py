"""Exposure, gain and white balance: held where they are, and the same as when it was calibrated."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.cameras.base import Camera
from edge.cameras.camera_settings import CameraSettings
from edge.cameras.csi import csi_pipeline
from edge.cameras.open_camera import open_calibrated_camera
from edge.cameras.v4l2 import lock_v4l2
from edge.errors import CameraOpenError
from edge.station_config import CameraConfig
from tests.edge.cameras.scripted_capture import CLOCK, locked
from tests.tiny_bundle import part_image

SETTINGS = CameraSettings(exposure_us=8000, gain=3)


class V4l2Controls:
    """Stands for the controls of a camera; what cv2 answers for an absent one is −1, as the kernel's vivid has shown."""

    def __init__(self, values: dict[int, float], deaf: tuple[int, ...] = ()) -> None:
        self.values, self.deaf = values, deaf

    def get(self, prop: int) -> float:
        return self.values.get(prop, -1.0)

    def set(self, prop: int, value: float) -> bool:
        if prop not in self.values or prop in self.deaf:
            return False
        self.values[prop] = value
        return True

    def grab(self) -> bool:
        return True


def usb_controls() -> dict[int, float]:
    return {
        cv2.CAP_PROP_AUTO_EXPOSURE: 3.0, cv2.CAP_PROP_EXPOSURE: 157.0, cv2.CAP_PROP_GAIN: 0.0,
        cv2.CAP_PROP_AUTO_WB: 1.0, cv2.CAP_PROP_WB_TEMPERATURE: 4600.0,
    }  # fmt: skip


def test_a_v4l2_camera_is_held_where_its_automatics_are() -> None:
    controls = V4l2Controls(usb_controls())
    assert lock_v4l2(controls, "/dev/null") == CameraSettings(exposure_us=15700, gain=0, white_balance_k=4600)  # type: ignore[arg-type]
    assert controls.values[cv2.CAP_PROP_AUTO_EXPOSURE] == 1.0
    assert controls.values[cv2.CAP_PROP_AUTO_WB] == 0.0
    assert lock_v4l2(V4l2Controls({}), "/dev/null") is None  # type: ignore[arg-type]


@pytest.mark.parametrize("deaf", [cv2.CAP_PROP_AUTO_EXPOSURE, cv2.CAP_PROP_AUTO_WB])
def test_a_v4l2_camera_whose_automatic_stays_on_is_refused(deaf: int) -> None:
    with pytest.raises(CameraOpenError, match="its automatic stays on"):
        lock_v4l2(V4l2Controls(usb_controls(), (deaf,)), "/dev/null")  # type: ignore[arg-type]


def test_a_gain_that_drifts_on_is_not_called_locked() -> None:
    class Drifting(V4l2Controls):
        def grab(self) -> bool:
            self.values[cv2.CAP_PROP_GAIN] += 1
            return True

    with pytest.raises(CameraOpenError, match="asked for gain 0, it gives 5"):
        lock_v4l2(Drifting(usb_controls()), "/dev/null")  # type: ignore[arg-type]


def test_the_csi_pipeline_carries_the_settings() -> None:
    pipeline = csi_pipeline(0, CameraConfig(exposure_us=8000, gain=2.5))
    for word in ("aelock=true", "awblock=true", 'exposuretimerange="8000000 8000000"', 'gainrange="2.5 2.5"'):
        assert word in pipeline


@pytest.mark.parametrize(
    ("actual", "message"),
    [
        (None, "does not hold or tell its exposure"),
        (CameraSettings(exposure_us=9000, gain=3), "now it has exposure_us 9000, gain 3"),
        (CameraSettings(exposure_us=8000), "calibrate again"),
    ],
)
def test_a_camera_with_other_settings_than_the_calibrated_ones_is_refused(
    actual: CameraSettings | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(expected: CameraSettings | None) -> Camera:
        capture, camera = locked(lambda: actual)
        monkeypatch.setattr("edge.cameras.open_camera.open_camera", lambda config, clock, shared: camera)
        threading.Timer(0.05, lambda: capture.give((True, np.zeros((4, 4, 3), np.uint8)), (False, None))).start()
        return open_calibrated_camera(CameraConfig(), CLOCK, expected)

    with pytest.raises(CameraOpenError, match=message):
        opened(SETTINGS)
    opened(None).close()
    opened(actual).close()


def test_the_station_goes_before_the_calibration_and_files_have_no_exposure(tmp_path: Path) -> None:
    config = CameraConfig(gain=5).with_settings(SETTINGS)
    assert (config.exposure_us, config.gain, config.white_balance_k) == (8000, 5, None)
    cv2.imwrite(str(tmp_path / "part.png"), part_image(1))
    with open_calibrated_camera(CameraConfig(source=f"file://{tmp_path}"), CLOCK, SETTINGS) as camera:
        assert camera.read(100).image.shape == (96, 96, 3)
