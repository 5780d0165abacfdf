"""A recorded inspection: every picture, lossless, with the verdict it got, so that it can be inspected again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from edge.bundle import Bundle
from edge.errors import FrameError, ImageError, RecordsError
from edge.frame import Image
from edge.line.station_view import View
from edge.pictures.image_file import read_image
from edge.slots.calibration_slot import CalibrationSlot, SlotStore
from edge.station_config import StationConfig
from edge.storage.event_chain import GENESIS, canonical, chained
from edge.storage.strict_yaml import StrictModel, parse
from edge.verdict import Outcome

FORMAT_VERSION = 1
FILE = "run.jsonl"
FRAMES = "frames"


class RunHeader(StrictModel):
    """The first line. station: as it was, its mask named relative to the run's folder. started: wall time, nanoseconds."""

    seq: int = 1
    kind: str = Field("run", pattern="^run$")
    format_version: int
    product: str
    started: int
    camera: str
    model_id: str
    model_sha256: str
    precision: str
    runtime: str
    view: View
    station: dict[str, Any]


class RecordedVerdict(StrictModel):
    """What was said of the part. scores: the figures of ``edge.verdict.Scores``, null where one was not finite."""

    outcome: str = Field(pattern="^(PASS|REJECT|FAULT)$")
    reason: str
    decided_ns: int
    wall_ns: int
    threshold: float | None
    scores: dict[str, float | None] | None


class RecordedPart(StrictModel):
    """A line of one part. frame: its file, null where no picture came; sha256: of its pixels. Times: monotonic nanoseconds."""

    seq: int
    kind: str = Field(pattern="^part$")
    part_id: int
    trigger_ns: int
    exposed_ns: int | None
    counts: int | None
    source: str
    frame: str | None = Field(pattern=r"^\d{9,}\.png$")
    sha256: str | None
    calibration_serial: int
    verdict: RecordedVerdict

    def outcome(self) -> Outcome:
        """What was said."""
        return Outcome(self.verdict.outcome)


class RunEnd(StrictModel):
    """The last line. lost: parts that are not in the recording, since the disk was full or too slow."""

    seq: int
    kind: str = Field(pattern="^end$")
    parts: int
    lost: int


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run that was read and whose lines are as they were written. end: None where the recording was cut off."""

    folder: Path
    header: RunHeader
    parts: list[RecordedPart]
    end: RunEnd | None

    def describe(self) -> str:
        """In words, with what is missing of it."""
        words = f"{len(self.parts)} parts of {self.header.camera}, {self.header.precision} on {self.header.runtime}"
        if self.end is None:
            return f"{words}; it was cut off, and ends with what was on the disk by then"
        return words + (f"; {self.end.lost} parts are not in it, the disk was too slow or full" if self.end.lost else "")

    def image(self, part: RecordedPart) -> Image:
        """Its picture, uint8 H×W×3, the same pixels as recorded; raises FrameError where they are not, or there was none."""
        if part.frame is None:
            raise FrameError(part.verdict.reason or "no picture came")
        try:
            image = read_image(self.folder / FRAMES / part.frame).image
        except ImageError as error:
            raise FrameError(str(error)) from error
        if pixels_sha256(image) != part.sha256:
            raise FrameError(f"{self.folder / FRAMES / part.frame}: is not the recorded picture (sha256 differs); record again")
        return image

    def require(self, bundle: Bundle) -> None:
        """Raise RecordsError unless the run was recorded with the model of ``bundle``."""
        header = self.header
        if header.precision not in bundle.precisions() or bundle.model_sha256(header.precision) != header.model_sha256:
            raise RecordsError(
                f"{self.folder}: was recorded with another {header.precision} model of {header.model_id} than {bundle.path} holds; "
                "give the bundle it was recorded with"
            )

    def station(self) -> StationConfig:
        """As it was at the recording, with the mask that was kept beside it; raises RecordsError."""
        try:
            station = StationConfig.model_validate_json(json.dumps(self.header.station))
        except ValidationError as error:
            raise RecordsError(
                f"{self.folder}: its station is not one of this version ({error.error_count()} keys); replay it with the version "
                f"it was recorded with, {self.header.product}"
            ) from error
        mask = station.ignore_mask
        return station if mask is None else station.model_copy(update={"ignore_mask": self.folder / mask.name})

    def slot(self, bundle: Bundle, serial: int) -> CalibrationSlot:
        """The calibration ``serial`` as it was copied into the run, every file checked; raises what ``SlotStore.load`` raises."""
        return SlotStore(self.folder, bundle).load(serial)


def read_run(folder: Path) -> RecordedRun:
    """Read ``folder`` and check every line; raises RecordsError. Pictures are checked when they are read."""
    path = folder / FILE
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise RecordsError(f"{path}: expected a recorded run: {error.strerror}; name the folder given to --record") from error
    lines.pop()  # nothing, or what a power cut left of a line
    contents = list(_checked(path, lines))
    if not contents:
        raise RecordsError(f"{path}: has no first line; the recording was cut off before it began")
    version = contents[0].get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise RecordsError(f"{path}: run format {version} is newer than this program's {FORMAT_VERSION}; update edge-inspect")
    header = parse(RunHeader, contents[0], f"{path} line 1")
    end = None
    if len(contents) > 1 and contents[-1].get("kind") == "end":
        end = parse(RunEnd, contents.pop(), f"{path}, last line")
    parts = [parse(RecordedPart, content, f"{path} line {number}") for number, content in enumerate(contents[1:], 2)]
    return RecordedRun(folder, header, parts, end)


def line(previous: str, content: dict[str, Any]) -> tuple[str, bytes]:
    """(hash, the line): chained to the line before it, so that none can be changed or left out unseen."""
    text = canonical(content)
    digest = chained(previous, text)
    return digest, f"{digest} {text}\n".encode()


def pixels_sha256(image: Image) -> str:
    """Identity of a picture: its size and its pixels."""
    digest = hashlib.sha256(str(image.shape).encode())
    digest.update(image.tobytes())
    return digest.hexdigest()


def _checked(path: Path, lines: list[bytes]) -> list[dict[str, Any]]:
    contents = []
    previous = GENESIS
    for number, text in enumerate(lines, 1):
        digest, _, content = text.decode("utf-8", "replace").partition(" ")
        if chained(previous, content) != digest:
            raise RecordsError(
                f"{path} line {number}: was changed, or one before it was removed; take the run from where it was recorded"
            )
        contents.append(json.loads(content))
        previous = digest
    return contents
