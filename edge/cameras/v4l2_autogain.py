"""V4L2's automatic gain, which OpenCV has no name for: switched off by the kernel's own call, beside the handle that streams."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path

from edge.errors import CameraOpenError

# linux/videodev2.h and v4l2-controls.h: struct v4l2_control {__u32 id; __s32 value}
GET_CONTROL, SET_CONTROL = 0xC008561B, 0xC008561C
AUTOGAIN = 0x00980912
CONTROL = struct.Struct("Ii")


def stop_autogain(device: Path) -> None:
    """Off, and read back; nothing where the camera has none. Raises CameraOpenError where it stays on."""
    try:
        handle = os.open(device, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        raise CameraOpenError(f"camera {device}: cannot open its controls: {error.strerror}; connect it again") from error
    try:
        if _value(handle):
            with suppress(OSError):  # told by reading back
                fcntl.ioctl(handle, SET_CONTROL, CONTROL.pack(AUTOGAIN, 0))
            if _value(handle):
                raise CameraOpenError(f"camera {device}: does not take a manual gain, its automatic stays on; use another camera")
    except OSError as error:
        raise CameraOpenError(f"camera {device}: cannot read its controls: {error.strerror}; connect it again") from error
    finally:
        os.close(handle)


def _value(handle: int) -> int:
    """1 where it is on, 0 where it is off or absent."""
    try:
        answer = fcntl.ioctl(handle, GET_CONTROL, CONTROL.pack(AUTOGAIN, 0))
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOTTY):  # no such control, or no controls at all
            return 0
        raise
    return int(CONTROL.unpack(answer)[1])
