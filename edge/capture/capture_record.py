"""session.yaml: how the pictures of one folder came about, so that a calibration knows and another session can follow on."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import Field

from edge.cameras.camera_settings import CameraSettings
from edge.errors import ConfigError, ImageError
from edge.line.station_view import View
from edge.pictures.image_file import SESSION_FILE
from edge.pictures.image_quality import ImageQuality
from edge.storage.durable_files import write_file
from edge.storage.strict_yaml import StrictModel, load_model

FORMAT_VERSION = 1


class CaptureRecord(StrictModel):
    """camera_settings: what it was locked to, null where it was not. skipped: by reason. images: those kept, by file name."""

    format_version: int = Field(FORMAT_VERSION, ge=FORMAT_VERSION, le=FORMAT_VERSION)
    product_version: str
    session: str
    created: str
    camera: str
    view: View
    frame_size: tuple[int, int] | None = Field(None, strict=False)
    camera_settings: CameraSettings | None
    frames_seen: int = Field(0, ge=0)
    skipped: dict[str, int] = Field(default_factory=dict)
    images: dict[str, ImageQuality] = Field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Replace the record in ``folder``; raises OutputError."""
        text = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, default_flow_style=None, width=200, allow_unicode=True)
        write_file(folder / SESSION_FILE, text.encode())


def read_record(folder: Path) -> CaptureRecord:
    """The record in ``folder``; raises ConfigError."""
    if not (folder / SESSION_FILE).is_file():
        raise ConfigError(f"{folder}: expected a capture session ({SESSION_FILE}), there is none; choose another session")
    return load_model(CaptureRecord, folder / SESSION_FILE)


def captured_settings(folder: Path) -> CameraSettings | None:
    """What the camera was locked to for the images in ``folder`` or its sub-folders; None where any session does not say.

    Raises ImageError where sessions were taken with different settings.
    """
    sessions = [one for one in (folder, *sorted(folder.glob("*/"))) if (one / SESSION_FILE).is_file()]
    settings = [(one, read_record(one).camera_settings) for one in sessions]
    if not settings or any(one is None for _, one in settings):
        return None
    first, expected = settings[0]
    assert expected is not None
    for other, found in settings[1:]:
        assert found is not None
        if not (found.keeps(expected) and expected.keeps(found)):
            raise ImageError(
                f"{other} was taken with {found.describe()}, {first} with {expected.describe()}; calibrate one of them, or take "
                "them again with the same exposure_us and gain in the station file"
            )
    return expected
