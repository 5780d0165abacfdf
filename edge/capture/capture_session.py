"""One folder of pictures of good parts: what is worth keeping as 000001.png and so on, and a record of it."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from edge.cameras.camera_settings import CameraSettings
from edge.capture.capture_gates import ENOUGH, CaptureGates, Skip
from edge.capture.capture_record import CaptureRecord, read_record
from edge.capture.contact_sheet import contact_sheet
from edge.capture.near_duplicates import SAME_BELOW
from edge.clock import Clock
from edge.errors import ConfigError, ImageError, OutputError
from edge.frame import Image
from edge.line.station_view import View
from edge.pictures.image_file import CONTACT_SHEET, SESSION_FILE, read_image
from edge.pictures.image_quality import ImageQuality, rounded
from edge.storage.durable_files import sync_folder, write_file
from edge.storage.file_lock import taken
from edge.version import product_version

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
PICTURE = re.compile(r"(\d{6,9})\.png")
RECORD_EVERY_NS = 30_000_000_000
"""A power cut loses the counts since then, and no picture."""
PNG = [cv2.IMWRITE_PNG_COMPRESSION, 3]


class CaptureSession:
    """Within ``with``: ``offer`` picture after picture; at the end, however it comes, the record and contact.png are written.

    Raises OutputError where the folder cannot be written, exists already (without ``append``), or is being written by another;
    ConfigError where ``append`` would join pictures of another view, camera or exposure.
    """

    def __init__(
        self,
        parent: Path,
        session: str | None,
        camera: str,
        view: View,
        settings: CameraSettings | None,
        clock: Clock,
        append: bool = False,
        same_below: float = SAME_BELOW,
    ) -> None:
        name = session if session is not None else time.strftime("%Y%m%d-%H%M%S", time.gmtime(clock.wall_ns() / 1e9))
        if not NAME.fullmatch(name):
            raise ConfigError(f"--session {name!r}: expected letters, digits, dots, dashes and underscores, 64 at most")
        self.folder = parent / name
        self._clock = clock
        self._gates = CaptureGates(view.region.region() if view.region is not None else None, same_below)
        self._images: dict[str, ImageQuality] = {}
        self.skipped: Counter[Skip] = Counter()
        self.frames_seen = 0
        self._header = CaptureRecord(
            product_version=product_version(), session=name, camera=camera, view=view, camera_settings=settings,
            created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock.wall_ns() / 1e9)),
        )  # fmt: skip
        self._frame_size: tuple[int, int] | None = None
        self._next = 1
        self._lock = _claim(self.folder, append)
        try:
            if append:
                self._continue()
            self._write_record()
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def kept(self) -> int:
        """Pictures in the folder."""
        return len(self._images)

    def offer(self, image: Image) -> Skip | None:
        """Keep ``image`` (uint8 H×W×3, BGR) as the next file, or say why not. Raises OutputError, ConfigError, ImageError."""
        self.frames_seen += 1
        size = image.shape[1], image.shape[0]
        if self._frame_size is not None and size != self._frame_size:
            raise ImageError(
                f"{self.folder}: its pictures have {self._frame_size[0]}×{self._frame_size[1]} pixels, the camera now gives "
                f"{size[0]}×{size[1]}; take another session, or correct the camera's size"
            )
        skip, quality = self._gates.judge(image)
        if skip is not None:
            self.skipped[skip] += 1
        else:
            name = f"{self._next:06d}.png"
            write_file(self.folder / name, _encoded(image))
            self._next += 1
            self._frame_size = size
            self._images[name] = rounded(quality)
        if self._clock.monotonic_ns() - self._recorded_ns > RECORD_EVERY_NS:
            self._write_record()
        return skip

    def count(self, skip: Skip) -> None:
        """Note a frame that could not even be looked at."""
        self.frames_seen += 1
        self.skipped[skip] += 1

    def __enter__(self) -> CaptureSession:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._write_record()
            if self._images:
                write_file(self.folder / CONTACT_SHEET, self._contact_sheet())
        except OutputError:
            if error is None:  # else that one is the cause
                raise
        finally:
            os.close(self._lock)

    def _contact_sheet(self) -> bytes:
        return contact_sheet([(self.folder / name, quality) for name, quality in self._images.items()], self.folder.name)

    def _write_record(self) -> None:
        record = self._header.model_copy(
            update={
                "frame_size": self._frame_size,
                "frames_seen": self.frames_seen,
                "skipped": {skip.value: self.skipped[skip] for skip in Skip if self.skipped[skip]},
                "images": self._images,
            }
        )
        record.write(self.folder)
        self._recorded_ns = self._clock.monotonic_ns()

    def _continue(self) -> None:
        """Take up what is there: counts, numbers, and the last pictures. Pictures that the record misses are measured."""
        before = read_record(self.folder)
        ours = self._header
        for what, then, now in (
            ("camera", before.camera, ours.camera),
            ("view", before.view.describe(), ours.view.describe()),
            ("camera settings", _in_words(before.camera_settings), _in_words(ours.camera_settings)),
        ):
            if then != now:
                raise ConfigError(f"{self.folder}: was taken with {what} {then}, now it is {now}; take another session")
        self._header = ours.model_copy(update={"created": before.created, "product_version": before.product_version})
        self.frames_seen = before.frames_seen
        self.skipped.update({Skip(name): count for name, count in before.skipped.items() if name in {skip.value for skip in Skip}})
        self._frame_size = before.frame_size
        names = sorted(
            (path.name for path in self.folder.iterdir() if PICTURE.fullmatch(path.name)), key=lambda name: int(name[:-4])
        )
        for index, name in enumerate(names):
            known = before.images.get(name)
            if known is None or index >= len(names) - ENOUGH:
                image = read_image(self.folder / name).image
                self._frame_size = image.shape[1], image.shape[0]
                known = self._gates.remember(image)
            self._images[name] = rounded(known)
        self._next = 1 + max((int(name[:-4]) for name in names), default=0)


def _in_words(settings: CameraSettings | None) -> str:
    return "not locked" if settings is None else settings.describe()


def _claim(folder: Path, append: bool) -> int:
    """A descriptor of the folder, locked; made here unless ``append``."""
    try:
        if append:
            if not (folder / SESSION_FILE).is_file():
                raise ConfigError(
                    f"{folder}: there is no session to continue ({SESSION_FILE}); leave --append out, or correct --session"
                )
        else:
            folder.mkdir(parents=True)
            sync_folder(folder.parent)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileExistsError as error:
        raise OutputError(f"{folder}: exists already; say --append to continue it, or choose another --session") from error
    except OSError as error:
        raise OutputError(f"{folder}: cannot write there: {error.strerror}; choose another place") from error
    if not taken(handle):
        os.close(handle)
        raise OutputError(f"{folder}: another capture is writing there; wait for it to end, or choose another --session")
    return handle


def _encoded(image: Image) -> bytes:
    ok, content = cv2.imencode(".png", image, PNG)
    if not ok:
        raise ImageError(f"a picture of {image.shape[1]}×{image.shape[0]} pixels cannot be encoded as PNG; choose a smaller size")
    return np.asarray(content, np.uint8).tobytes()
