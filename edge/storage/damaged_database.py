"""A database that cannot be read any more makes way for a new one, and is kept for whoever can still read it."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path


def set_aside(path: Path, wall_ns: int) -> Path:
    """Rename the database and its logs; where it is now. Raises OSError."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(wall_ns / 1e9))
    aside = path.with_name(f"{path.stem}.damaged-{stamp}{path.suffix}")
    for suffix in ("-journal", "-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    return aside
