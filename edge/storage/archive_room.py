"""The pictures of an archive and the room they take: which go so that another one fits."""

from __future__ import annotations

import re
from bisect import bisect_left
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

BLOCK = 4096
"""A file takes at least so much of a disk."""
NAME = re.compile(r"(\d{9,})_\d{6}\.(?:png|jpg)")
HEAT_SUFFIX = ".heat.jpg"


class Kind(IntEnum):
    """Of a picture, in the order in which they make way."""

    GOOD = 0
    BORDERLINE = 1
    NG = 2

    @property
    def folder(self) -> str:
        """Its name in the folder of the day."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, order=True)
class Archived:
    """One picture, with its heat map where there is one. Ordered by age: day, then name, which begins with the part's id."""

    day: str
    name: str
    part_id: int = field(compare=False)
    kind: Kind = field(compare=False)
    size: int = field(compare=False)

    def path(self, folder: Path) -> Path:
        """The picture in the archive ``folder``."""
        return folder / self.day / self.kind.folder / self.name

    def heat_path(self, folder: Path) -> Path:
        """Its heat map."""
        return self.path(folder).with_suffix(HEAT_SUFFIX)


class ArchiveRoom:
    """What lies in ``folder`` within ``budget`` bytes."""

    def __init__(self, folder: Path, budget: int) -> None:
        self._folder, self._budget = folder, budget
        self._pictures: dict[Kind, list[Archived]] = {kind: [] for kind in Kind}
        self.used = 0

    def survey(self) -> None:
        """Find what is there, and clear away what a killed writer left; raises OSError."""
        self._pictures, self.used = {kind: [] for kind in Kind}, 0
        for kind in Kind:
            for path in sorted(self._folder.glob(f"[0-9]*/{kind.folder}/*")):
                found = NAME.fullmatch(path.name)
                if path.name.startswith(".") or (path.name.endswith(HEAT_SUFFIX) and not _has_picture(path)):
                    path.unlink()
                elif found is not None:
                    size = rounded(path.stat().st_size)
                    with suppress(FileNotFoundError):
                        size += rounded(path.with_suffix(HEAT_SUFFIX).stat().st_size)
                    self.add(Archived(path.parts[-3], path.name, int(found[1]), kind, size))

    def add(self, picture: Archived) -> None:
        """It is there now, in place of one with the same name."""
        pictures = self._pictures[picture.kind]
        place = bisect_left(pictures, picture)
        if place < len(pictures) and pictures[place] == picture:
            self.used -= pictures.pop(place).size
        pictures.insert(place, picture)
        self.used += picture.size

    def make_room(self, size: int, kind: Kind) -> tuple[bool, list[Archived]]:
        """Remove the oldest of the least kind, never one above ``kind``, until ``size`` bytes fit; raises OSError.

        Whether they fit, and what was removed; nothing is where they could not fit anyway.
        """
        removable = sum(picture.size for one in Kind if one <= kind for picture in self._pictures[one])
        if self.used - removable + size > self._budget:
            return False, []
        removed = []
        while self.used + size > self._budget:
            removed.append(self._remove(next(self._pictures[one] for one in Kind if self._pictures[one])))
        return True, removed

    def shrink(self) -> list[Archived]:
        """Remove what is beyond a budget that was made smaller; raises OSError."""
        return self.make_room(0, Kind.NG)[1]

    def _remove(self, pictures: list[Archived]) -> Archived:
        oldest = pictures[0]
        path = oldest.path(self._folder)
        path.unlink(missing_ok=True)
        oldest.heat_path(self._folder).unlink(missing_ok=True)
        del pictures[0]
        self.used -= oldest.size
        for folder in (path.parent, path.parent.parent):
            with suppress(OSError):  # not empty yet
                folder.rmdir()
        return oldest


def rounded(size: int) -> int:
    """What a file of ``size`` bytes takes of a disk."""
    return -(-size // BLOCK) * BLOCK


def _has_picture(heat: Path) -> bool:
    stem = heat.name.removesuffix(HEAT_SUFFIX)
    return any(heat.with_name(stem + suffix).exists() for suffix in (".png", ".jpg"))
