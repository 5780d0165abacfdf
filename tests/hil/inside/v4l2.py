"""As much of the V4L2 API as the harness needs, over ioctls: controls by name, timings, and frames written through mapped memory.

Numbers and layouts are those of linux/videodev2.h on 64-bit machines.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path

NEXT_CONTROL = 0x80000000
DISABLED = 0x0001
MENU, BUTTON = 3, 4
VIDEO_OUTPUT, MMAP, FIELD_NONE = 2, 1, 1
BGR = int.from_bytes(b"BGR3", "little")


def _ioctl(direction: int, number: int, size: int) -> int:
    return direction << 30 | size << 16 | ord("V") << 8 | number


WRITE, READ_WRITE = 1, 3
QUERY_CONTROL = _ioctl(READ_WRITE, 36, 68)
QUERY_MENU = _ioctl(READ_WRITE, 37, 44)
SET_CONTROL = _ioctl(READ_WRITE, 28, 8)
ENUMERATE_TIMINGS = _ioctl(READ_WRITE, 98, 148)
SET_TIMINGS = _ioctl(READ_WRITE, 87, 132)
SET_FORMAT = _ioctl(READ_WRITE, 5, 208)
REQUEST_BUFFERS = _ioctl(READ_WRITE, 8, 20)
QUERY_BUFFER = _ioctl(READ_WRITE, 9, 88)
QUEUE_BUFFER = _ioctl(READ_WRITE, 15, 88)
DEQUEUE_BUFFER = _ioctl(READ_WRITE, 17, 88)
STREAM_ON = _ioctl(WRITE, 18, 4)


class Buffer(ctypes.Structure):
    """struct v4l2_buffer."""

    _fields_ = (
        ("index", ctypes.c_uint32), ("type", ctypes.c_uint32), ("bytesused", ctypes.c_uint32), ("flags", ctypes.c_uint32),
        ("field", ctypes.c_uint32), ("pad", ctypes.c_uint32), ("timestamp", ctypes.c_int64 * 2), ("timecode", ctypes.c_uint8 * 16),
        ("sequence", ctypes.c_uint32), ("memory", ctypes.c_uint32), ("offset", ctypes.c_uint64), ("length", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 3),
    )  # fmt: skip


class Controls:
    """The controls of one device by the names that it gives them."""

    def __init__(self, device: Path) -> None:
        self._device = device
        with self._open() as handle:
            self._known = {name: (number, kind) for name, number, kind in _controls(handle.fileno())}

    def names(self) -> list[str]:
        """All of them."""
        return list(self._known)

    def menu(self, name: str) -> dict[str, int]:
        """What a menu offers, and its number."""
        with self._open() as handle:
            return dict(_menu(handle.fileno(), self._known[name][0]))

    def set(self, name: str, value: int | str) -> None:
        """A number, or an entry of a menu."""
        number = self.menu(name)[value] if isinstance(value, str) else value
        with self._open() as handle:
            fcntl.ioctl(handle, SET_CONTROL, struct.pack("Ii", self._known[name][0], number))

    def press(self, name: str) -> None:
        """A button."""
        self.set(name, 0)

    def _open(self):  # type: ignore[no-untyped-def]
        return open(self._device, "r+b", buffering=0)


def _controls(handle: int) -> Iterator[tuple[str, int, int]]:
    number = 0
    while True:
        query = bytearray(struct.pack("I64x", number | NEXT_CONTROL))
        try:
            fcntl.ioctl(handle, QUERY_CONTROL, query)
        except OSError:
            return
        number, kind, name, flags = struct.unpack("II32s16xI8x", query)
        if not flags & DISABLED:
            yield name.split(b"\0")[0].decode(), number, kind


def _menu(handle: int, control: int) -> Iterator[tuple[str, int]]:
    for index in range(64):
        query = bytearray(struct.pack("<II32sI", control, index, b"", 0))
        try:
            fcntl.ioctl(handle, QUERY_MENU, query)
        except OSError:
            continue
        yield query[8:40].split(b"\0")[0].decode(), index


def set_timings(device: Path, width: int, height: int, frames_per_second: float) -> None:
    """Choose the HDMI timings of that size whose rate is nearest."""
    with open(device, "r+b", buffering=0) as handle:
        found: list[tuple[float, bytes]] = []
        for index in range(512):
            query = bytearray(struct.pack("II8x132x", index, 0))
            try:
                fcntl.ioctl(handle, ENUMERATE_TIMINGS, query)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                break
            timings = bytes(query[16:148])
            wide, high, interlaced = struct.unpack_from("<III", timings, 4)
            (clock,) = struct.unpack_from("<Q", timings, 20)
            across, down = struct.unpack_from("<III", timings, 28), struct.unpack_from("<III", timings, 40)
            if (wide, high, interlaced) == (width, height, 0):
                found.append((abs(clock / ((wide + sum(across)) * (high + sum(down))) - frames_per_second), timings))
        if not found:
            raise RuntimeError(f"{device} has no timings of {width}×{height}")
        fcntl.ioctl(handle, SET_TIMINGS, bytearray(min(found)[1]))


class OutputStream:
    """Frames written to an output node, BGR, through two mapped buffers; ``write`` returns when the device took a frame up."""

    def __init__(self, device: Path, width: int, height: int) -> None:
        self._file = os.open(device, os.O_RDWR)
        self._size = width * height * 3
        wanted = struct.pack("I4xIIII", VIDEO_OUTPUT, width, height, BGR, FIELD_NONE)
        got = bytearray(wanted.ljust(208, b"\0"))
        fcntl.ioctl(self._file, SET_FORMAT, got)
        if bytes(got[:20]) != wanted[:20]:
            raise RuntimeError(f"{device}: asked for {width}×{height} BGR, got {struct.unpack_from('III', got, 8)}")
        fcntl.ioctl(self._file, REQUEST_BUFFERS, bytearray(struct.pack("III8x", 2, VIDEO_OUTPUT, MMAP)))
        self._maps = [self._map(index) for index in range(2)]
        self._queued = 0

    def write(self, frame: memoryview, first: bytes = b"") -> None:
        """``frame`` is of width × height × 3 bytes, its beginning replaced by ``first``. Blocks until a buffer is free."""
        if self._queued < len(self._maps):
            index = self._queued
            self._queued += 1
        else:
            done = Buffer(type=VIDEO_OUTPUT, memory=MMAP)
            fcntl.ioctl(self._file, DEQUEUE_BUFFER, done)
            index = done.index
        self._maps[index][: self._size] = frame
        self._maps[index][: len(first)] = first
        buffer = Buffer(index=index, type=VIDEO_OUTPUT, memory=MMAP, bytesused=self._size, field=FIELD_NONE)
        fcntl.ioctl(self._file, QUEUE_BUFFER, buffer)
        if self._queued == 1:
            fcntl.ioctl(self._file, STREAM_ON, struct.pack("i", VIDEO_OUTPUT))

    def close(self) -> None:
        """Stop; may be called twice."""
        for one in self._maps:
            one.close()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _map(self, index: int) -> mmap.mmap:
        buffer = Buffer(index=index, type=VIDEO_OUTPUT, memory=MMAP)
        fcntl.ioctl(self._file, QUERY_BUFFER, buffer)
        return mmap.mmap(self._file, buffer.length, offset=buffer.offset & 0xFFFFFFFF)
