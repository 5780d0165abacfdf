"""``current``, the symlink that says which slot is active; it moves in one step."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from edge.storage.durable_files import sync_folder

CURRENT = "current"


class SlotPointer:
    """The symlink of one model's slots. One process moves it at a time (``SlotStore.writing``); anyone may read."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / CURRENT

    def serial(self) -> int | None:
        """The serial it names; None where it names none."""
        name = self._name()
        return int(name) if name is not None and name.isdecimal() else None

    def state(self) -> tuple[str, int, int] | None:
        """What it names, and two numbers that change whenever it moves, to the same slot too; None where there is none."""
        name = self._name()
        try:
            status = os.lstat(self.path)
        except OSError:
            return None
        return name or "", status.st_ino, status.st_ctime_ns

    def move_to(self, name: str) -> None:
        """Make it name ``name``; raises OSError, and then it may have moved nevertheless: ``serial`` says."""
        folder = self.path.parent
        beside = Path(tempfile.mkdtemp(dir=folder, prefix=f".{CURRENT}."))
        try:
            (beside / CURRENT).symlink_to(name)
            (beside / CURRENT).rename(self.path)
        finally:
            (beside / CURRENT).unlink(missing_ok=True)
            beside.rmdir()
        sync_folder(folder)

    def _name(self) -> str | None:
        try:
            return os.readlink(self.path)
        except OSError:
            return None
