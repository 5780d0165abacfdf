from __future__ import annotations

from pathlib import Path

import pytest

from edge.cameras.base import Camera
from edge.clock import ManualClock
from edge.doctor.camera import check_camera
from edge.doctor.finding import Findings, Status
from edge.station_config import StationConfig
from tests.tiny_bundle import part_image

MS = 1_000_000


class SlowCamera(Camera):
    """Live, 50 pictures a second, each at hand ``late_ms`` after its time stamp."""

    live = True

    def __init__(self, clock: ManualClock, late_ms: int) -> None:
        super().__init__("slow")
        self._clock, self._late_ms = clock, late_ms

    def _read_impl(self, timeout_ms: int) -> tuple[object, int, str]:
        self._clock.advance_ms(20)
        return part_image(1), self._clock.monotonic_ns() - self._late_ms * MS, "slow"

    def _close_impl(self) -> None:
        pass


@pytest.mark.parametrize(("late_ms", "status"), [(35, Status.OK), (399, Status.OK), (400, Status.FAILED)])
def test_how_late_pictures_come_is_told_and_too_late_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late_ms: int, status: Status
) -> None:
    clock, findings = ManualClock(), Findings()
    monkeypatch.setattr("edge.doctor.camera.open_calibrated_camera", lambda *_: SlowCamera(clock, late_ms))
    check_camera(StationConfig(camera={"max_age_ms": 400}), None, tmp_path, clock, findings)
    found = {one.check: one for one in findings.all}
    assert "50.0 pictures a second" in found["camera"].found
    assert found["camera latency"].status is status
    assert f"{late_ms} ms from the driver's time stamp" in found["camera latency"].found
