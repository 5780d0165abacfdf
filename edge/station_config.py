"""station.yaml: what stands at this place of the line. Strict: an unknown key or a wrong type stops the start."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator, model_validator

from edge.cameras.camera_settings import CameraSettings
from edge.errors import ConfigError
from edge.line.line_config import OUTPUTS, LinesConfig, LineStopConfig, RejectConfirmConfig, StrobeConfig
from edge.line.timing_config import TimingConfig
from edge.line.trigger_config import TriggerConfig
from edge.page.page_config import PageConfig
from edge.pictures.frame_health_config import FrameHealthConfig
from edge.plant.plant_config import PlantConfig
from edge.preprocess import Region
from edge.records.records_config import ArchiveConfig, RecordsConfig
from edge.storage.strict_yaml import StrictModel, load_model
from edge.supervision.challenge import ChallengeConfig


class CameraConfig(StrictModel):
    """How frames are taken. Width, height and rate are requests to a V4L2 or CSI camera, and are read back."""

    source: str = Field("0", description="0, /dev/video2, csi://0, inspect, file://folder, or a video file")
    width: int | None = Field(None, ge=16, le=16384, description="pixels; the camera's own choice when left out")
    height: int | None = Field(None, ge=16, le=16384, description="pixels")
    frames_per_second: float | None = Field(None, gt=0, le=1000)
    exposure_us: float | None = Field(None, gt=0, description="manual exposure time; automatic when left out")
    gain: float | None = Field(None, description="manual gain in the driver's unit")
    white_balance_k: float | None = Field(None, gt=0, description="manual white balance, kelvin (V4L2)")
    read_timeout_ms: int = Field(2000, ge=10, le=60000, description="no frame for this long is a FAULT")
    max_age_ms: int = Field(1000, ge=10, le=60000, description="a picture older than this when decided is a FAULT")

    def with_settings(self, settings: CameraSettings | None) -> CameraConfig:
        """The same, with ``settings`` where the station says nothing itself."""
        if settings is None:
            return self
        known = {name: value for name, value in settings.model_dump().items() if getattr(self, name) is None}
        return self.model_copy(update=known)


class RegionConfig(StrictModel):
    """Region of interest in camera pixels."""

    x: int = Field(ge=0)
    y: int = Field(ge=0)
    width: int = Field(ge=16)
    height: int = Field(ge=16)

    def region(self) -> Region:
        """The same as the plain value preprocessing takes."""
        return Region(self.x, self.y, self.width, self.height)


class DriftConfig(StrictModel):
    """When a drift is told."""

    usual_reject_share: float = Field(0.0, ge=0, le=0.5, description="rejects that are no news here, beyond those promised")
    repeat_hours: float = Field(8.0, gt=0, le=8760, description="a drift that lasts is told again after so long")


class StationConfig(StrictModel):
    """The whole file; every key has a default, so that an empty file is a station without lines."""

    camera: CameraConfig = CameraConfig()
    region: RegionConfig | None = None
    ignore_mask: Path | None = Field(None, strict=False, description="picture in camera pixels; not black is ignored")
    lines: LinesConfig = LinesConfig()
    trigger: TriggerConfig = TriggerConfig()
    strobe: StrobeConfig = StrobeConfig()
    reject_confirm: RejectConfirmConfig | None = None
    line_stop: LineStopConfig = LineStopConfig()
    drift: DriftConfig = DriftConfig()
    timing: TimingConfig = TimingConfig()
    frame_health: FrameHealthConfig = FrameHealthConfig()
    challenge: ChallengeConfig = ChallengeConfig()
    shadow: bool = Field(False, description="verdicts are recorded, no line that acts on parts is opened, ready stays off")
    records: RecordsConfig = RecordsConfig()
    archive: ArchiveConfig = ArchiveConfig()
    plant: PlantConfig = PlantConfig()
    page: PageConfig = PageConfig()
    reject_pulse_ms: int = Field(200, ge=1, le=60000, description="shortest time the reject line is held")
    pass_valid_ms: int = Field(1000, ge=1, le=60000, description="a PASS not renewed for this long falls back to reject")

    @field_validator("ignore_mask")
    @classmethod
    def _not_empty(cls, value: Path | None) -> Path | None:
        if value is not None and not value.name:
            raise ValueError(f"expected the path of a picture, got {str(value)!r}; correct the value")
        return value

    @model_validator(mode="after")
    def _nothing_without_its_trigger(self) -> StationConfig:
        if self.trigger.kind == "free":
            for key in ("timing", "strobe", "reject_confirm", "line_stop"):
                # By value: --print-config writes every key, and what it writes is a station file.
                if getattr(self, key) != type(self).model_fields[key].default:
                    raise ValueError(
                        f"`{key}` is of parts that a trigger tells of, and there is none; add `trigger:`, or remove `{key}`"
                    )
        return self

    @model_validator(mode="after")
    def _each_line_once(self) -> StationConfig:
        seen = {config.describe(): name for name in OUTPUTS if (config := getattr(self.lines, name)) is not None}
        inputs = self.trigger.inputs()
        if self.reject_confirm is not None:
            inputs["reject_confirm"] = self.reject_confirm.sensor
        for name, config in inputs.items():
            if (first := seen.setdefault(config.describe(), name)) != name:
                raise ValueError(f"`{first}` and `{name}` are both {config.describe()}; give each a line of its own")
        return self


def load_station(path: Path | None) -> StationConfig:
    """The station in ``path``, or the defaults. Relative paths are looked for beside the file. Raises ConfigError."""
    if path is None:
        return StationConfig()
    station = load_model(StationConfig, path)
    station = station.model_copy(update={"plant": station.plant.beside(path.parent)})
    if station.ignore_mask is not None:
        mask = path.parent / station.ignore_mask
        if not mask.is_file():
            raise ConfigError(f"{path}: ignore_mask {mask} does not exist; correct the path (it is relative to the station file)")
        station = station.model_copy(update={"ignore_mask": mask})
    return station
