"""Calibration slots on disk: ``<state>/calibration/<model id>/<serial>/`` and a ``current`` pointer that is swapped atomically."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import Field

from edge.bundle import Bundle, ReferenceImage, file_sha256, verify_files
from edge.calibration_tensors import CalibrationTensors
from edge.cameras.camera_settings import CameraSettings
from edge.durable_files import new_folder, sync_folder
from edge.engines.base import Engine
from edge.errors import HashMismatchError, NewerFormatError, NotCalibratedError, OutputError, SlotError
from edge.frame import Image
from edge.station_view import View
from edge.strict_yaml import StrictModel, load_yaml, parse

FORMAT_VERSION = 2
RECORD = "slot.yaml"
CURRENT = "current"
SERIAL_DIGITS = 6
OUTSIDE_THE_HASH = ("serial", "created", "operator", "content_sha256")


class Promise(StrictModel):
    """What the threshold promises of good parts like the calibration images. ``exact``: no image did two jobs."""

    false_reject_rate: float = Field(gt=0, le=1)
    confidence: float = Field(gt=0, lt=1)
    images: int = Field(ge=1)
    allowed_above: int = Field(ge=0)
    exact: bool


class Baseline(StrictModel):
    """How one figure was distributed over the good images; later ones are compared with it."""

    mean: float
    deviation: float
    low: float
    high: float


class SlotRecord(StrictModel):
    """slot.yaml, strict. ``images`` maps a job (center, weights, threshold) to the sha256 of the files that did it.

    frame_size: [width, height] in camera pixels where all images had the same, else null.
    camera_settings: what the camera was locked to when it took them; null where that is not known.
    """

    format_version: int
    serial: int
    created: str
    operator: str
    content_sha256: str
    model_id: str
    model_sha256: str
    precision: str
    runtime: str
    view: View
    frame_size: tuple[int, int] | None = Field(strict=False)
    camera_settings: CameraSettings | None
    threshold: float
    promise: Promise
    center_source: str
    images: dict[str, list[str]]
    passed_over: int
    baseline: dict[str, Baseline]
    reference_images: list[ReferenceImage]
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class CalibrationSlot:
    """Tensors, threshold and serial as one immutable object."""

    path: Path
    record: SlotRecord
    tensors: CalibrationTensors

    def self_test(self, engine: Engine) -> None:
        """Score the slot's reference images with the bound ``engine``; raises SlotError where it now scores differently."""
        for reference in self.record.reference_images:
            if difference := reference.disagreement(self.path, engine):
                raise SlotError(f"{self.path}: self-test: {difference}; the engine has changed: calibrate again")


class SlotStore:
    """The slots of one bundle on this machine."""

    def __init__(self, state: Path, bundle: Bundle) -> None:
        self.folder = state / "calibration" / bundle.manifest.model_id
        self._bundle = bundle

    def current(self, precision: str, runtime: str, view: View) -> CalibrationSlot:
        """The active slot, checked against the bundle, precision, runtime and view; raises SlotError or NotCalibratedError."""
        pointer = self.folder / CURRENT
        if not pointer.is_dir():
            raise NotCalibratedError(
                f"{self._bundle.path}: is not calibrated on this machine (looked in {self.folder}); run: calibrate normal_dir/"
            )
        slot = self._load(pointer.resolve())
        record = slot.record
        for what, ours, theirs in (
            ("model", self._bundle.model_sha256(precision), record.model_sha256),
            ("precision", precision, record.precision),
            ("runtime", runtime, record.runtime),
        ):
            if ours != theirs:
                raise SlotError(f"{slot.path}: was calibrated for {what} {theirs}, this is {ours}; calibrate again")
        if record.view != view:
            raise SlotError(
                f"{slot.path}: was calibrated for {record.view.describe()}, the station now has {view.describe()}; "
                "calibrate again, or correct the station file"
            )
        return slot

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the right to write slots; raises SlotError when another calibration has it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot write there: {error.strerror}; choose another --state") from error
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise SlotError(f"{self.folder}: another calibration is running; wait for it to end") from error
            yield
        finally:
            os.close(handle)

    def add(
        self,
        content: dict[str, Any],
        tensors: CalibrationTensors,
        references: list[tuple[Image, ReferenceImage]],
        extra: dict[str, bytes],
    ) -> CalibrationSlot:
        """Write the next slot; it is not active yet. Call within ``writing``. Raises OutputError; nothing is left half-written.

        content: the record's fields but serial, format_version, content_sha256, reference_images and files.
        extra: further files by name, such as the report; not part of the slot's identity.
        """
        serial = max((int(p.name) for p in self.folder.iterdir() if p.name.isdecimal()), default=0) + 1
        path = self.folder / f"{serial:0{SERIAL_DIGITS}d}"
        with new_folder(path) as folder:
            files = tensors.save(folder)
            for image, reference in references:
                np.save(folder / reference.file, image, allow_pickle=False)
                files[reference.file] = file_sha256(folder / reference.file)
            record = {
                "format_version": FORMAT_VERSION,
                "serial": serial,
                **content,
                "reference_images": [reference.model_dump() for _, reference in references],
                "files": files,
            }
            record["content_sha256"] = content_sha256(record)
            (folder / RECORD).write_text(yaml.safe_dump(record, sort_keys=False, allow_unicode=True), encoding="utf-8")
            for name, data in extra.items():
                (folder / name).write_bytes(data)
        return self._load(path)

    def activate(self, slot: CalibrationSlot) -> None:
        """Point ``current`` at ``slot``, in one step; raises OutputError."""
        try:
            beside = Path(tempfile.mkdtemp(dir=self.folder, prefix=f".{CURRENT}."))
            try:
                (beside / CURRENT).symlink_to(slot.path.name)
                (beside / CURRENT).rename(self.folder / CURRENT)
            finally:
                (beside / CURRENT).unlink(missing_ok=True)
                beside.rmdir()
            sync_folder(self.folder)
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot activate the slot: {error.strerror}; the old one stays active") from error

    def _load(self, path: Path) -> CalibrationSlot:
        if not (path / RECORD).is_file():
            raise SlotError(f"{path}: expected a calibration slot ({RECORD}), there is none; calibrate again")
        content = load_yaml(path / RECORD)
        version = content.get("format_version")
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise NewerFormatError(
                f"{path}: slot format {version} is newer than this program's {FORMAT_VERSION}; update edge-inspect"
            )
        if isinstance(version, int) and version < FORMAT_VERSION:
            raise SlotError(f"{path}: slot format {version} is older than this program's {FORMAT_VERSION}; calibrate again")
        record = parse(SlotRecord, content, str(path / RECORD))
        if content_sha256(content) != record.content_sha256:
            raise HashMismatchError(f"{path}: {RECORD} was edited since it was written; calibrate again")
        expected = {f"{name}.npy" for name in CalibrationTensors.shapes(self._bundle.manifest.graph)}
        expected |= {reference.file for reference in record.reference_images}
        if not expected <= set(record.files):
            raise SlotError(f"{path}: {RECORD} has no hash for {sorted(expected - set(record.files))[0]}; calibrate again")
        verify_files(path, record.files)
        return CalibrationSlot(path, record, CalibrationTensors.load(path, self._bundle.manifest.graph))


def content_sha256(record: dict[str, Any]) -> str:
    """Identity of a calibration: all of its record but who made it, when, and under which number."""
    identity = {name: value for name, value in record.items() if name not in OUTSIDE_THE_HASH}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
