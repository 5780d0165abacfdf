"""How much room a disk has."""

from __future__ import annotations

import os
from pathlib import Path

MEGABYTE = 1_000_000


def free_bytes(folder: Path) -> int:
    """What this process may still write to the disk of ``folder``; raises OSError."""
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize
