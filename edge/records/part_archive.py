"""Pictures of parts on disk: rejects and faults, close passes and a sample of the good, with heat maps, within a budget."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import cv2

from edge.errors import OutputError, RecordsError
from edge.frame import Image
from edge.preprocess import Region
from edge.records.heat_picture import heat_picture, heat_share
from edge.records.records_config import ArchiveConfig
from edge.slots.calibration_tensors import Array
from edge.storage.archive_room import Archived, ArchiveRoom, Kind, rounded
from edge.storage.background_writer import BackgroundWriter
from edge.storage.disk_room import MEGABYTE, free_bytes
from edge.storage.durable_files import write_file
from edge.storage.file_lock import lock_file, taken
from edge.verdict import Outcome, Verdict

FOLDER = "archive"
GOOD_QUEUE = 0.5
"""Share of the queue that good pictures may take; the rest waits for what matters more."""
PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
"""Lossless at any level; this is the fastest."""


@dataclass(frozen=True, slots=True)
class _Picture:
    """One to be written. share: the anomaly map over the threshold, None without a heat map."""

    part_id: int
    wall_ns: int
    kind: Kind
    image: Image
    share: Array | None
    region: Region | None


class PartArchive:
    """Keeps pictures in ``<folder>/<day>/<ng|borderline|good>/<part id>_<time>.png`` (UTC), for one process at a time.

    ``named(part_id, file)`` is told the file of a picture, from the archive's thread, and an empty name when it made way. ``tell``
    gets one line when nothing can be kept and one when it can again; neither may wait. Raises RecordsError, OutputError.
    """

    def __init__(self, folder: Path, config: ArchiveConfig, named: Callable[[int, str], None], tell: Callable[[str], None]) -> None:
        self.folder, self._config, self._named = folder, config, named
        self._room = ArchiveRoom(folder, config.budget_mb * MEGABYTE)
        self._surveyed = False
        self.skipped = 0
        """Pictures for which more important ones left no room."""
        with ExitStack() as stack:
            if not taken(stack.enter_context(lock_file(folder))):
                raise RecordsError(f"{folder}: another edge-inspect keeps its pictures there; name another `archive: folder:`")
            self._given_back = stack.pop_all()
        self._writer = BackgroundWriter[_Picture](
            "archive", self._write, tell, config.queue_mb * MEGABYTE, weigh=lambda picture: picture.image.nbytes, most=1
        )

    @property
    def dropped(self) -> int:
        """Pictures that the disk did not take, or not in time."""
        return self._writer.dropped

    @property
    def failure(self) -> Exception | None:
        """Why nothing can be kept now; None while it can."""
        return self._writer.failure

    def kind(self, verdict: Verdict) -> Kind | None:
        """What its picture would be kept as; None where it is not. The same part is always in the sample, or never."""
        if self._config.budget_mb == 0:
            return None
        if verdict.outcome is not Outcome.PASS:
            return Kind.NG
        margin, threshold = verdict.margin, verdict.threshold
        if margin is not None and threshold is not None and margin >= -self._config.borderline_share * abs(threshold):
            return Kind.BORDERLINE
        digest = hashlib.blake2b(verdict.part_id.to_bytes(8, "big", signed=True), digest_size=8).digest()
        return Kind.GOOD if int.from_bytes(digest, "big") < self._config.good_share * 2**64 else None

    def add(self, verdict: Verdict, image: Image, anomaly_map: Array | None, region: Region | None) -> None:
        """Keep the picture where ``kind`` says so; returns at once.

        image: uint8 H×W×3, as the camera gave it, and map: both are held and must not be written to any more. region: what the map
        lies over, None for the whole image. Heat begins where nine tenths of its own map lie below.
        """
        kind = self.kind(verdict)
        if kind is None:
            return
        share = None
        if self._config.heat_maps and anomaly_map is not None and verdict.threshold is not None:
            share = heat_share(anomaly_map, verdict.threshold)
        picture = _Picture(verdict.part_id, verdict.wall_ns, kind, image, share, region)
        self._writer.add(picture, GOOD_QUEUE if kind is Kind.GOOD else 1.0)

    def flush(self, timeout_s: float) -> bool:
        """Wait until what was added before lies on the disk; for tests and the end."""
        return self._writer.flush(timeout_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what is queued, as far as ``timeout_s`` allows, and give the folder back. May be called twice."""
        if self._writer.close(timeout_s):
            self._given_back.close()

    def _write(self, pictures: list[_Picture]) -> None:
        (picture,) = pictures
        if not self._surveyed:
            self._room.survey()
            self._surveyed = True
            self._forget(self._room.shrink())
        free = free_bytes(self.folder)
        if free < self._config.free_floor_mb * MEGABYTE:
            raise OutputError(f"{self.folder}: the disk has {free // MEGABYTE} MB free, {self._config.free_floor_mb} must stay")
        content, heat = self._encoded(picture)
        size = rounded(len(content)) + rounded(len(heat))
        fits, removed = self._room.make_room(size, picture.kind)
        self._forget(removed)
        if not fits:
            self.skipped += 1
            return
        moment = time.gmtime(picture.wall_ns / 1e9)
        name = f"{picture.part_id:09d}_{time.strftime('%H%M%S', moment)}.{'png' if self._config.format == 'png' else 'jpg'}"
        archived = Archived(time.strftime("%Y-%m-%d", moment), name, picture.part_id, picture.kind, size)
        path, heat_path = archived.path(self.folder), archived.heat_path(self.folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if heat:
                write_file(heat_path, heat)
            write_file(path, content)
        except OutputError:
            heat_path.unlink(missing_ok=True)
            raise
        self._room.add(archived)
        self._named(picture.part_id, str(path.relative_to(self.folder)))

    def _encoded(self, picture: _Picture) -> tuple[bytes, bytes]:
        if self._config.format == "png":
            done, content = cv2.imencode(".png", picture.image, PNG)
        else:
            done, content = cv2.imencode(".jpg", picture.image, [cv2.IMWRITE_JPEG_QUALITY, self._config.jpeg_quality])
        assert done
        if picture.share is None:
            return content.tobytes(), b""
        seen = picture.image if picture.region is None else picture.region.crop(picture.image)
        return content.tobytes(), heat_picture(seen, picture.share)

    def _forget(self, removed: list[Archived]) -> None:
        for picture in removed:
            self._named(picture.part_id, "")
