"""Calibration slots on disk: ``<state>/calibration/<model id>/<serial>/`` and a ``current`` pointer that is swapped atomically."""

from __future__ import annotations

import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from edge.bundle import Bundle, ReferenceImage, file_sha256, load_picture, verify_files
from edge.clock import Clock, SystemClock
from edge.engines.base import Engine
from edge.errors import ConfigError, HashMismatchError, InputError, NewerFormatError, NotCalibratedError, OutputError, SlotError
from edge.frame import Image
from edge.line.station_view import View
from edge.slots.calibration_tensors import CalibrationTensors
from edge.slots.slot_activations import Action, Activation, ActivationLog, History
from edge.slots.slot_pointer import SlotPointer
from edge.slots.slot_record import RECORD, SlotRecord, content_sha256
from edge.storage.durable_files import new_folder, sync_folder
from edge.storage.file_lock import LOCK, lock_file, taken
from edge.storage.strict_yaml import load_yaml, parse

FORMAT_VERSION = 2
SERIAL_DIGITS = 6


@dataclass(frozen=True, slots=True)
class CalibrationSlot:
    """Tensors, threshold and serial as one immutable object, with the pictures for its self-test; all of it in memory."""

    path: Path
    record: SlotRecord
    tensors: CalibrationTensors
    pictures: tuple[Image, ...]

    def describe(self) -> str:
        """In words: what it judges by, and what it promises."""
        return f"threshold {self.record.threshold:.4g}, {self.record.promise.describe()}"

    def self_test(self, engine: Engine) -> None:
        """Score the slot's reference images with the bound ``engine``; raises SlotError where it now scores differently."""
        for reference, picture in zip(self.record.reference_images, self.pictures, strict=True):
            if difference := reference.disagreement(picture, engine):
                raise SlotError(f"{self.path}: self-test: {difference}; the engine has changed: calibrate again")


class SlotStore:
    """The slots of one bundle on this machine. What changes them is called within ``writing``."""

    def __init__(self, state: Path, bundle: Bundle, clock: Clock | None = None) -> None:
        self.folder = state / "calibration" / bundle.manifest.model_id
        self.bundle = bundle
        self._clock = clock or SystemClock()
        self.pointer = SlotPointer(self.folder)
        self._activations = ActivationLog(self.folder)

    def current(self, precision: str, runtime: str, view: View) -> CalibrationSlot:
        """The active slot, checked against the bundle, precision, runtime and view; raises SlotError or NotCalibratedError."""
        if not self.pointer.path.is_dir():
            raise NotCalibratedError(f"{self.bundle.path}: is not calibrated on this machine ({self.without_active()}")
        slot = self._load(self.pointer.path.resolve())
        record = slot.record
        for what, ours, theirs in (
            ("model", self.bundle.model_sha256(precision), record.model_sha256),
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

    def calibrated_for(self, precision: str, view: View) -> list[CalibrationSlot]:
        """Whole slots of this model in ``precision`` and ``view``, active or not, the newest first."""
        found = []
        for serial in reversed(self.serials()):
            try:
                slot = self.load(serial)
            except InputError:  # what is broken, or of another version, is no calibration to fall back to
                continue
            record = slot.record
            if (record.model_sha256, record.precision, record.view) == (self.bundle.model_sha256(precision), precision, view):
                found.append(slot)
        return found

    def active_serial(self) -> int | None:
        """The serial of the active slot; None where there is none."""
        return self.pointer.serial()

    def without_active(self) -> str:
        """What there is where none is active, and the command that helps; ends an error's line after an opening bracket."""
        if serials := self.serials():
            there = ", ".join(map(str, serials))
            return f"{self.folder} has {there}, none active); run: edge-slots activate {serials[-1]} {self.flags}"
        return f"looked in {self.folder}); run: calibrate normal_dir/ {self.flags}"

    @property
    def flags(self) -> str:
        """How commands are told of this store."""
        return f"--bundle {shlex.quote(str(self.bundle.path))} --state {shlex.quote(str(self.folder.parents[1]))}"

    def serials(self) -> list[int]:
        """Of all slots, ascending."""
        return sorted(int(p.name) for p in self.folder.iterdir() if p.name.isdecimal()) if self.folder.is_dir() else []

    def slot_path(self, serial: int) -> Path:
        """The folder of one slot."""
        return self.folder / f"{serial:0{SERIAL_DIGITS}d}"

    def record(self, serial: int) -> SlotRecord:
        """Its record, of which only itself was checked; raises SlotError and what ``load`` raises."""
        return self._record(self._existing(serial))

    def load(self, serial: int) -> CalibrationSlot:
        """The slot, every file checked; raises SlotError, ConfigError, HashMismatchError, NewerFormatError."""
        return self._load(self._existing(serial))

    def history(self) -> History:
        """Every activation so far; raises OSError."""
        return self._activations.read()

    def earlier(self) -> list[int]:
        """The slots that are still there to go back to, the nearest first."""
        there = set(self.serials())
        return [serial for serial in self.history().before(self.active_serial()) if serial in there]

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the right to write slots, and clear away what a killed writer left; raises SlotError when another has it."""
        with lock_file(self.folder) as handle:
            if not taken(handle):
                raise SlotError(f"{self.folder}: another calibration is running; wait for it to end")
            self._clear_away()
            yield

    def add(
        self,
        content: dict[str, Any],
        tensors: CalibrationTensors,
        references: list[tuple[Image, ReferenceImage]],
        extra: dict[str, bytes],
    ) -> CalibrationSlot:
        """Write the next slot; it is not active yet. Raises OutputError; nothing is left half-written.

        content: the record's fields but serial, format_version, content_sha256, reference_images and files.
        extra: further files by name, such as the report; not part of the slot's identity.
        """
        serial = self.next_serial()
        path = self.slot_path(serial)
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
            _write_record(folder, record)
            for name, data in extra.items():
                (folder / name).write_bytes(data)
        return self._load(path)

    def adopt(self, record: dict[str, Any], files: dict[str, bytes]) -> CalibrationSlot:
        """Take in a slot from elsewhere under the next serial, checked before it appears; raises InputError.

        record: a slot.yaml's content. files: those it has hashes for, by name.
        """
        serial = self.next_serial()
        with new_folder(self.slot_path(serial)) as folder:
            for name, data in files.items():
                (folder / name).write_bytes(data)
            _write_record(folder, {**record, "serial": serial})
            self.require_model(self._load(folder).record)
        return self.load(serial)

    def require_model(self, record: SlotRecord) -> None:
        """Raise unless ``record`` was made for the bundle's model; view, precision and runtime are for who inspects to check."""
        if self.bundle.model_sha256(record.precision) != record.model_sha256:
            raise SlotError(
                f"calibration {record.serial} was made for another {record.precision} model than {self.bundle.path} holds; "
                "give the bundle it was made for, or calibrate again"
            )

    def activate(self, slot: CalibrationSlot, operator: str, reason: str, action: Action = "activate") -> None:
        """Record it, then point ``current`` at ``slot`` in one step; raises OutputError, SlotError for another model's slot."""
        serial, before = slot.record.serial, self.active_serial()
        self.require_model(slot.record)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock.wall_ns() / 1e9))
        try:
            self._activations.append(
                Activation(time=now, action=action, operator=operator, reason=reason, from_serial=before, to_serial=serial)
            )
            self.pointer.move_to(slot.path.name)
        except OSError as error:
            after = self.active_serial()
            state = "the old one stays active" if after == before else f"calibration {after} is active until a power cut at least"
            raise OutputError(f"{self.folder}: cannot activate the slot: {error.strerror}; {state}; check the disk") from error

    def remove(self, serial: int) -> None:
        """Remove a slot for good; it vanishes in one step. Raises SlotError for the active one, and OutputError."""
        path = self._existing(serial)
        if serial == self.active_serial():
            raise SlotError(f"calibration {serial} is active and is not removed; activate another one first")
        try:
            beside = Path(tempfile.mkdtemp(dir=self.folder, prefix=".removed."))
            path.rename(beside / path.name)
            sync_folder(self.folder)
            shutil.rmtree(beside)
        except OSError as error:
            raise OutputError(f"{path}: cannot remove it: {error.strerror}; check who owns it") from error

    def _existing(self, serial: int) -> Path:
        path = self.slot_path(serial)
        if not path.is_dir():
            there = ", ".join(map(str, self.serials())) or "none"
            raise SlotError(f"{self.folder}: has no calibration {serial}; there are: {there}")
        return path

    def next_serial(self) -> int:
        """One that no slot had, a removed one neither: verdicts name it."""
        return max([*self.serials(), self.history().highest_serial()], default=0) + 1

    def _clear_away(self) -> None:
        for path in self.folder.glob(".*"):
            if path.name != LOCK:
                shutil.rmtree(path, ignore_errors=True)

    def _record(self, path: Path) -> SlotRecord:
        if not (path / RECORD).is_file():
            raise SlotError(f"{path}: expected a calibration slot ({RECORD}), there is none; calibrate again")
        try:
            return self._checked_record(path, load_yaml(path / RECORD))
        except ConfigError as error:  # nobody is to mend by hand what a program wrote
            raise SlotError(
                f"{path}: {RECORD} is damaged; calibrate again, or go back with edge-slots rollback ({error})"
            ) from error

    def _checked_record(self, path: Path, content: dict[str, Any]) -> SlotRecord:
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
        if path.name.isdecimal() and int(path.name) != record.serial:
            raise SlotError(f"{path}: holds calibration {record.serial}; give the folder its old name, or remove it")
        return record

    def _load(self, path: Path) -> CalibrationSlot:
        record = self._record(path)
        expected = {f"{name}.npy" for name in CalibrationTensors.shapes(self.bundle.manifest.graph)}
        expected |= {reference.file for reference in record.reference_images}
        if not expected <= set(record.files):
            raise SlotError(f"{path}: {RECORD} has no hash for {sorted(expected - set(record.files))[0]}; calibrate again")
        verify_files(path, record.files, "calibrate again, or go back with edge-slots rollback")
        pictures = tuple(load_picture(path / reference.file) for reference in record.reference_images)
        return CalibrationSlot(path, record, CalibrationTensors.load(path, self.bundle.manifest.graph), pictures)


def _write_record(folder: Path, record: dict[str, Any]) -> None:
    (folder / RECORD).write_text(yaml.safe_dump(record, sort_keys=False, allow_unicode=True), encoding="utf-8")
