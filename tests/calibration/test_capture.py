"""calibrate with pictures of its own: from a recording, and from a camera."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from calibration.cli import main
from edge.cameras.camera_settings import CameraSettings
from edge.capture.capture_session import CaptureSession
from edge.cli import main as inspect_main
from edge.clock import SystemClock
from edge.line.station_view import View
from edge.pictures.image_file import list_images
from tests.different_parts import different_part


def calibrate(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


def record(bundle_dir: Path) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load((bundle_dir.parent / "calibration" / "tiny" / "current" / "slot.yaml").read_text())
    return found


def recording(path: Path) -> Path:
    """Forty parts, each still for three frames."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (256, 192))
    for part in range(40):
        for repeat in range(3):
            noise = np.random.default_rng(100 * part + repeat).normal(0, 3, (192, 256, 3))
            writer.write(np.clip(different_part(part) + noise, 0, 255).astype(np.uint8))
    writer.release()
    return path


def test_a_recording_is_calibrated_on_with_each_part_once(
    bundle_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = recording(tmp_path / "normal.avi")
    assert calibrate(video, "--bundle", bundle_dir) == 0
    (folder,) = (bundle_dir.parent / "captures").iterdir()
    assert len(list_images(folder)) == 40
    assert "80 same part" in capsys.readouterr().err
    slot = record(bundle_dir)
    assert slot["frame_size"] == [256, 192]
    assert slot["camera_settings"] is None


def test_a_picture_is_no_recording(bundle_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(tmp_path / "part000.png"), different_part(0))
    assert calibrate(tmp_path / "part000.png", "--bundle", bundle_dir) == 2
    assert "got one picture; name the folder it is in" in capsys.readouterr().err
    assert not (bundle_dir.parent / "captures").exists()


def test_a_camera_takes_the_folders_place_but_not_both(
    bundle_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = recording(tmp_path / "normal.avi")
    assert calibrate("--camera", f"file://{video}", "--frames", "30", "--bundle", bundle_dir) == 0
    (folder,) = (bundle_dir.parent / "captures").iterdir()
    assert len(list_images(folder)) == 30
    for arguments in ((), (folder, "--camera", "0")):
        assert calibrate(*arguments, "--bundle", bundle_dir) == 2
        assert "give one of them" in capsys.readouterr().err
    assert calibrate("--camera", "99", "--bundle", bundle_dir) == 2
    assert "/dev/video99 does not exist" in capsys.readouterr().err


def test_what_the_camera_was_locked_to_goes_into_the_slot_and_binds_the_inspection(
    bundle_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = CameraSettings(exposure_us=8000, gain=2)
    view = View(region=None, ignore_mask_sha256=None)
    with CaptureSession(tmp_path, "s", "camera", view, settings, SystemClock()) as session:
        for part in range(20):
            session.offer(different_part(part))
    assert calibrate(session.folder, "--bundle", bundle_dir) == 0
    assert record(bundle_dir)["camera_settings"] == settings.model_dump()
    capsys.readouterr()
    # A folder has no exposure and may be replayed; a device must be asked for these settings.
    assert inspect_main(["--camera", f"file://{session.folder}", "--bundle", str(bundle_dir), "--dry-run"]) == 0


def test_a_slot_from_before_says_calibrate_again(
    calibrated_dir: Path, normal_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = calibrated_dir.parent / "calibration" / "tiny" / "current" / "slot.yaml"
    path.write_text(yaml.safe_dump(record(calibrated_dir) | {"format_version": 1}))
    assert inspect_main(["--camera", f"file://{normal_dir}", "--bundle", str(calibrated_dir), "--dry-run"]) == 2
    assert "slot format 1 is older" in capsys.readouterr().err
