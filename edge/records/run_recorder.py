"""Writes a recorded run while the inspection goes on: a thread of its own, which no part waits for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from edge.bundle import Bundle
from edge.clock import Clock
from edge.errors import OutputError
from edge.frame import Frame
from edge.line.station_view import view_of
from edge.records.recorded_run import (
    FILE,
    FORMAT_VERSION,
    FRAMES,
    RecordedPart,
    RecordedVerdict,
    RunEnd,
    RunHeader,
    line,
    pixels_sha256,
)
from edge.slots.calibration_slot import CalibrationSlot
from edge.station_config import StationConfig
from edge.storage.background_writer import BackgroundWriter
from edge.storage.disk_room import MEGABYTE, free_bytes
from edge.storage.durable_files import new_folder, sync_folder
from edge.storage.event_chain import GENESIS
from edge.verdict import Verdict, finite_or_none
from edge.version import product_version

QUEUE_BYTES = 512 * MEGABYTE
FREE_FLOOR_BYTES = 1000 * MEGABYTE
SMALL = 1000
"""Bytes that a part without a picture counts for in the queue."""
PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]


@dataclass(frozen=True, slots=True)
class _Part:
    verdict: Verdict
    frame: Frame | None
    slot: CalibrationSlot
    counts: int | None


class RunRecorder:
    """Records into ``folder``, which must be new or empty, until closed. One bundle and precision a run.

    What the disk does not take, or not in time, is not in the recording: it is counted, told in one line through ``tell``, which
    must not wait, and said in the run. Raises OutputError.
    """

    def __init__(
        self,
        folder: Path,
        bundle: Bundle,
        precision: str,
        runtime: str,
        station: StationConfig,
        camera: str,
        clock: Clock,
        tell: Callable[[str], None],
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise OutputError(f"{folder}: exists already and is not an empty folder; give --record a new one")
        self.folder = folder
        self._model_id = bundle.manifest.model_id
        header = RunHeader(
            format_version=FORMAT_VERSION,
            product=product_version(),
            started=clock.wall_ns(),
            camera=camera,
            model_id=self._model_id,
            model_sha256=bundle.model_sha256(precision),
            precision=precision,
            runtime=runtime,
            view=view_of(station),
            station=_portable(station),
        )
        try:
            (folder / FRAMES).mkdir(parents=True, exist_ok=True)
            if station.ignore_mask is not None:
                shutil.copyfile(station.ignore_mask, folder / _mask_name(station.ignore_mask))
            self._file = os.open(folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        except OSError as error:
            raise OutputError(f"{folder}: cannot record there: {error.strerror}; choose another place") from error
        self._hash, self._seq, self._parts, self._size = GENESIS, 0, 0, 0
        self._slots: set[int] = set()
        self._closed = False
        self._append(header.model_dump(mode="json"))
        self._writer = BackgroundWriter[_Part]("recording", self._write, tell, queue_bytes, weigh=_weight, most=1)

    @property
    def dropped(self) -> int:
        """Parts that are not in the recording."""
        return self._writer.dropped

    @property
    def failure(self) -> Exception | None:
        """Why nothing can be recorded now; None while it can."""
        return self._writer.failure

    def add(self, verdict: Verdict, frame: Frame | None, slot: CalibrationSlot, counts: int | None = None) -> None:
        """Record a part with the verdict that counts; returns at once.

        frame: as the camera gave it, None where no picture came; its image is held and must not be written to any more. slot: what
        it was judged by. counts: of the encoder, at its trigger.
        """
        self._writer.add(_Part(verdict, frame, slot, counts))

    def close(self, timeout_s: float = 30.0) -> None:
        """Write what is queued, as far as ``timeout_s`` allows, and the end of the run. May be called twice; raises OutputError."""
        if self._closed or not self._writer.close(timeout_s):
            return
        self._closed = True
        try:
            end = RunEnd(seq=self._seq + 1, kind="end", parts=self._parts, lost=self.dropped)
            self._append(end.model_dump())
            os.fsync(self._file)
            sync_folder(self.folder)
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot end the recording: {error.strerror}; it is cut off there") from error
        finally:
            os.close(self._file)

    def _write(self, parts: list[_Part]) -> None:
        (part,) = parts
        free = free_bytes(self.folder)
        if free < FREE_FLOOR_BYTES:
            raise OutputError(f"{self.folder}: the disk has {free // MEGABYTE} MB free, {FREE_FLOOR_BYTES // MEGABYTE} must stay")
        serial = part.slot.record.serial
        if serial not in self._slots:
            with new_folder(self.folder / "calibration" / self._model_id / part.slot.path.name) as beside:
                shutil.copytree(part.slot.path, beside, dirs_exist_ok=True)
            self._slots.add(serial)
        name, digest = None, None
        if part.frame is not None:
            name, digest = f"{self._seq:09d}.png", pixels_sha256(part.frame.image)
            done, content = cv2.imencode(".png", part.frame.image, PNG)
            assert done
            (self.folder / FRAMES / name).write_bytes(content.tobytes())
        verdict = part.verdict
        scores = verdict.to_record()["scores"]
        recorded = RecordedPart(
            seq=self._seq + 1, kind="part", part_id=verdict.part_id, trigger_ns=verdict.trigger_ns, exposed_ns=verdict.exposed_ns,
            counts=part.counts, source=verdict.source, frame=name, sha256=digest, calibration_serial=serial,
            verdict=RecordedVerdict(
                outcome=verdict.outcome.value, reason=verdict.reason, decided_ns=verdict.decided_ns, wall_ns=verdict.wall_ns,
                threshold=finite_or_none(verdict.threshold), scores=scores,
            ),
        )  # fmt: skip
        self._append(recorded.model_dump())
        self._parts += 1

    def _append(self, content: dict[str, Any]) -> None:
        digest, text = line(self._hash, content)
        left = text
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._hash, self._size, self._seq = digest, self._size + len(text), self._seq + 1


def _weight(part: _Part) -> int:
    return SMALL if part.frame is None else part.frame.image.nbytes


def _mask_name(mask: Path) -> str:
    return f"ignore_mask{mask.suffix}"


def _portable(station: StationConfig) -> dict[str, Any]:
    mask = station.ignore_mask
    moved = station if mask is None else station.model_copy(update={"ignore_mask": Path(_mask_name(mask))})
    return moved.model_dump(mode="json")
