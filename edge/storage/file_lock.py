"""One writer at a time in a folder; the lock of a process that dies is free at once."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.errors import OutputError

LOCK = ".lock"


@contextmanager
def lock_file(folder: Path) -> Iterator[int]:
    """The handle of the lock of ``folder``, which is made where there is none; not taken yet. Raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise OutputError(f"{folder}: cannot write there: {error.strerror}; choose another --state") from error
    try:
        yield handle
    finally:
        os.close(handle)


@contextmanager
def lock_folder(folder: Path) -> Iterator[int]:
    """The handle of ``folder`` itself, to be locked without a file in it; not taken yet. Raises OutputError."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise OutputError(f"{folder}: expected a folder: {error.strerror}; correct the path") from error
    try:
        yield handle
    finally:
        os.close(handle)


def taken(handle: int) -> bool:
    """Take the lock until ``handle`` is closed; False where another has it. Never waits."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
