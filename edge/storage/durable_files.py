"""Writing so that a power cut leaves either the old or the new, never a half: write beside, fsync, rename."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from edge.errors import OutputError


def write_file(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` atomically; raises OutputError where it cannot be written."""
    with new_content(path) as file:
        file.write(content)


@contextmanager
def new_content(path: Path) -> Iterator[BinaryIO]:
    """Yield a file beside ``path``; on success it takes its place, on failure nothing is left.

    Raises OutputError where it cannot be written, also when the disk is full.
    """
    if path.exists() and not path.is_file():  # a device or a pipe would be removed by the rename, as root even /dev/stdout
        raise OutputError(f"cannot write {path}: expected a file, it is a folder, a device or a pipe; choose another name")
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        beside = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            beside.chmod(0o644)
            beside.rename(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}; free space or choose another place") from error


@contextmanager
def new_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield an empty folder beside ``path``; on success it becomes ``path``, on failure nothing is left.

    With ``replace`` an existing ``path`` makes way at the last moment; without it an existing one is an error.
    Raises OutputError where the place cannot be written, also when the disk is full.
    """
    if path.exists() and not replace:
        raise OutputError(f"{path} exists already; choose another place, or remove it first")
    beside: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        yield beside
        _sync_tree(beside)
        beside.chmod(0o755)
        old = None
        if path.exists():
            old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.old."))
            path.rename(old / path.name)
        beside.rename(path)
        sync_folder(path.parent)
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}; free space or choose another place") from error
    finally:
        if beside is not None and beside.exists():
            shutil.rmtree(beside, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_tree(folder: Path) -> None:
    for root, _, files in os.walk(folder):
        for name in files:
            with open(Path(root) / name, "rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(root))
