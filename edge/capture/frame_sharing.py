"""What passes between an inspection that holds the camera and a program that wants its pictures, over a Unix socket.

The reader sends NEXT, once for each picture it wants. The server answers, when it has a newer one than the last it sent there, with
a message (``edge/live/message.py``) of MAGIC whose content is height·width·3 bytes, BGR.
"""

from __future__ import annotations

from pydantic import Field

from edge.cameras.camera_settings import CameraSettings
from edge.storage.strict_yaml import StrictModel

SOCKET = "frames.sock"
NEXT = b"N"
MAGIC = b"EIF1"
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
