"""A folder of images, or of folders: each folder in it is a session, such as a day, a shift or a batch of parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edge.errors import ImageError
from edge.pictures.image_file import IMAGE_SUFFIXES, ImageFile, Survey, list_images, survey_files

NO_SESSION = ""
"""Of images that lie directly in the folder."""
LABELLED = ("test", "ground_truth")
"""Folders of a labelled set, which holds defective parts and masks besides the good ones."""
CONTACT_SHEET = "contact.png"
SESSION_FILE = "session.yaml"


def survey_sessions(
    folder: Path,
    max_bad_share: float,
    progress: Callable[[int, int], None] | None = None,
    seen_by: Callable[[ImageFile], None] | None = None,
) -> Survey:
    """Decode every image in ``folder`` and its sub-folders once; the first level of these names the session.

    seen_by: gets each whole one. Raises ImageError where there is none, or more than ``max_bad_share`` are not whole.
    """
    for name in LABELLED:
        if (folder / name).is_dir():
            raise ImageError(
                f"{folder}: expected good parts only, found the folder {name!r} of a labelled set; name the folder train/good"
            )
    return survey_inner_folders(folder, max_bad_share, progress, seen_by)


def survey_inner_folders(
    folder: Path,
    max_bad_share: float,
    progress: Callable[[int, int], None] | None = None,
    seen_by: Callable[[ImageFile], None] | None = None,
) -> Survey:
    """The same of any folder; ``sessions`` names the folder of the first level that an image lies in."""
    inner = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")) if folder.is_dir() else []
    session_of = {path: session.name for session in inner for path in sorted(session.rglob("*")) if _is_picture(path)}
    direct = [p for p in folder.iterdir() if _is_picture(p)] if folder.is_dir() else []
    if not session_of and not direct:
        list_images(folder)  # says what is missing
    session_of |= dict.fromkeys(direct, NO_SESSION)
    survey = survey_files(folder, sorted(session_of), max_bad_share, progress, seen_by)
    return replace(survey, sessions={digest: session_of[path] for path, digest in survey.files})


def _is_picture(path: Path) -> bool:
    if path.suffix.lower() not in IMAGE_SUFFIXES or not path.is_file():
        return False
    return path.name != CONTACT_SHEET or not (path.parent / SESSION_FILE).is_file()
