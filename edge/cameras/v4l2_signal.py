"""Whether anything is connected to a V4L2 device's input: without a source a grabber goes on, with noise or its last picture."""

from __future__ import annotations

import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path

# linux/videodev2.h: VIDIOC_G_INPUT, VIDIOC_ENUMINPUT, struct v4l2_input
GET_INPUT, ENUMERATE_INPUT = 0x80045626, 0xC050561A
INPUT = struct.Struct("=I32sIIIQII12x4x")
MISSING = {0x1: "no power", 0x2: "no signal", 0x100: "no lock on the signal", 0x10000: "no synchronisation with the signal"}
"""By their bits in the status of an input."""


class InputSignal:
    """Of the input that ``device`` is set to when opened; says nothing where the driver tells nothing. Close it when done."""

    def __init__(self, device: Path) -> None:
        self._handle, self._index = -1, 0
        with suppress(OSError):
            self._handle = os.open(device, os.O_RDWR | os.O_NONBLOCK)
            self._index = struct.unpack("i", fcntl.ioctl(self._handle, GET_INPUT, struct.pack("i", 0)))[0]

    def missing(self) -> str:
        """What the input lacks now, empty where nothing; costs one call of the kernel. For the thread that reads the camera."""
        try:
            answer = fcntl.ioctl(self._handle, ENUMERATE_INPUT, INPUT.pack(self._index, b"", 0, 0, 0, 0, 0, 0))
        except (OSError, ValueError):  # gone, which reading tells, or a driver without
            return ""
        return missing_of(INPUT.unpack(answer)[6])

    def close(self) -> None:
        """May be called twice."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def missing_of(status: int) -> str:
    """In words, of the bits of struct v4l2_input."""
    lacking = [words for bit, words in MISSING.items() if status & bit]
    return f"{', '.join(lacking)} at its input; check the source and its cable" if lacking else ""
