"""A camera is known by its name and socket, not by the number that it happens to have."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.cameras import video_device
from edge.cameras.base import Camera
from edge.cameras.camera_settings import CameraSettings
from edge.cameras.video_device import VideoDevice
from edge.clock import Clock, ManualClock
from edge.errors import CameraOpenError
from edge.products.product_camera import ProductCamera
from edge.station_config import CameraConfig
from tests.edge.test_inspection_loop import ScriptedCamera


class Sysfs:
    """A made-up /sys/class/video4linux."""

    def __init__(self, root: Path) -> None:
        self.root = root / "class"
        self.root.mkdir()

    def plug(self, number: int, name: str, socket: str, index: int = 0) -> None:
        place, entry = self.root.parent / "devices" / socket, self.root / f"video{number}"
        place.mkdir(parents=True, exist_ok=True)
        entry.mkdir()
        (entry / "name").write_text(f"{name}\n")
        (entry / "index").write_text(f"{index}\n")
        (entry / "device").symlink_to(place)

    def unplug(self, number: int) -> None:
        entry = self.root / f"video{number}"
        for file in entry.iterdir():
            file.unlink()
        entry.rmdir()


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    return Sysfs(tmp_path)


def test_it_is_found_under_another_number_and_another_one_is_not_taken_for_it(sysfs: Sysfs) -> None:
    sysfs.plug(0, "HD Camera", "1-2", 0)
    sysfs.plug(1, "HD Camera", "1-2", 1)  # its metadata
    mine = VideoDevice.at(Path("/dev/video0"), sysfs.root)
    assert mine is not None
    assert mine.find(sysfs.root) == Path("/dev/video0")
    sysfs.unplug(0)
    sysfs.unplug(1)
    sysfs.plug(0, "HD Camera", "1-3")  # the same model in another socket
    assert mine.find(sysfs.root) is None
    sysfs.plug(4, "HD Camera", "1-2", 0)
    assert mine.find(sysfs.root) == Path("/dev/video4")


def test_nothing_is_known_of_what_is_not_there(sysfs: Sysfs) -> None:
    assert VideoDevice.at(Path("/dev/video0"), sysfs.root) is None


def test_a_lost_camera_is_opened_under_the_number_it_has_then(
    sysfs: Sysfs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def opened(config: CameraConfig, clock: Clock, settings: CameraSettings | None, shared: Path) -> Camera:
        asked.append(config.source)
        return ScriptedCamera([])

    monkeypatch.setattr("edge.products.product_camera.open_calibrated_camera", opened)
    monkeypatch.setattr(video_device, "DEVICES", sysfs.root)
    sysfs.plug(0, "left", "1-2")
    sysfs.plug(2, "right", "1-3")
    cameras = ProductCamera(tmp_path, ManualClock(), lambda text: None)
    try:
        lasting = cameras.open(CameraConfig(source="0"), None, lambda attempt: attempt())
        reopen = lasting._reopen
        sysfs.unplug(0)
        with pytest.raises(CameraOpenError, match="left at 1-2 is not there any more"):
            reopen()
        sysfs.unplug(2)
        sysfs.plug(0, "right", "1-3")
        sysfs.plug(1, "left", "1-2")
        reopen()
    finally:
        cameras.close()
    assert asked == ["0", "/dev/video1"]
