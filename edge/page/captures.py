"""The sessions of pictures that were taken at the line, to calibrate from again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.pictures.image_file import CONTACT_SHEET, IMAGE_SUFFIXES, SESSION_FILE

MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Captured:
    """One session. sheet: whether there is a picture of all its pictures."""

    name: str
    pictures: int
    sheet: bool


def captured_sessions(folder: Path) -> list[Captured]:
    """The newest first."""
    if not folder.is_dir():
        return []
    found = [one for one in folder.iterdir() if (one / SESSION_FILE).is_file() and not one.is_symlink()]
    return [_captured(one) for one in sorted(found, key=lambda one: one.name, reverse=True)[:MOST_SHOWN]]


def session_folder(folder: Path, name: str) -> Path | None:
    """The folder of the session called ``name``, which is looked for among those there are; None where there is none."""
    return next((folder / one.name for one in captured_sessions(folder) if one.name == name), None)


def _captured(session: Path) -> Captured:
    files = [one.name for one in session.iterdir() if one.suffix.lower() in IMAGE_SUFFIXES]
    return Captured(session.name, len([name for name in files if name != CONTACT_SHEET]), CONTACT_SHEET in files)
