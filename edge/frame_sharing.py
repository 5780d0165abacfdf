"""What passes between an inspection that holds the camera and a program that wants its pictures, over a Unix socket.

The reader sends NEXT, once for each picture it wants. The server answers, when it has a newer one than the last it sent there, with
MAGIC, the length of the header (4 bytes, big-endian), the header (JSON) and height·width·3 bytes, BGR.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field

from edge.cameras.camera_settings import CameraSettings
from edge.strict_yaml import StrictModel

SOCKET = "frames.sock"
NEXT = b"N"
MAGIC = b"EIF1"
LENGTH_BYTES = 4
MOST_HEADER_BYTES = 16384
MOST_IMAGE_BYTES = 256 * 2**20


class FrameHeader(StrictModel):
    """Of one picture. camera, source: for people. exposed_ns: on CLOCK_MONOTONIC. settings: None where not locked."""

    width: int = Field(ge=1, le=16384)
    height: int = Field(ge=1, le=16384)
    exposed_ns: int = Field(ge=0)
    camera: str = Field(max_length=2000)
    source: str = Field(max_length=2000)
    settings: CameraSettings | None

    def image_bytes(self) -> int:
        """How many follow."""
        return self.height * self.width * 3


def packed(header: FrameHeader) -> bytes:
    """All that precedes the picture."""
    text = header.model_dump_json().encode()
    return MAGIC + len(text).to_bytes(LENGTH_BYTES, "big") + text


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """``path`` as a name that fits a socket address, which holds 107 bytes only."""
    handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{path.name}"
    finally:
        os.close(handle)


def is_served(path: Path) -> bool:
    """True if an inspection shares its pictures at ``path``."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return False
        with socket.socket(socket.AF_UNIX) as probe, short_path(path) as name:
            probe.settimeout(1.0)
            probe.connect(name)
        return True
    except OSError:
        return False
