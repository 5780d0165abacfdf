"""A Unix socket in the state folder, which its owner alone may use."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """``path`` as a name that fits a socket address, which holds 107 bytes only."""
    handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{path.name}"
    finally:
        os.close(handle)


def is_served(path: Path, kind: int = socket.SOCK_STREAM) -> bool:
    """True if somebody listens at ``path``."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return False
        with socket.socket(socket.AF_UNIX, kind) as probe, short_path(path) as name:
            probe.settimeout(1.0)
            probe.connect(name)
        return True
    except OSError:
        return False


def bound_socket(path: Path, kind: int, backlog: int | None = None) -> tuple[socket.socket, int]:
    """(a socket that does not block, its inode) at ``path``, mode 0600; raises OSError.

    One that a dead process left makes way. It appears with its permissions, and listening where ``backlog`` is given, never before.
    """
    beside: Path | None = None
    made_socket = socket.socket(socket.AF_UNIX, kind)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        made = beside / path.name
        with short_path(made) as name:
            made_socket.bind(name)
        made.chmod(0o600)
        if backlog is not None:
            made_socket.listen(backlog)
        made_socket.setblocking(False)
        inode = made.lstat().st_ino
        made.rename(path)
    except BaseException:
        made_socket.close()
        raise
    finally:
        if beside is not None:
            shutil.rmtree(beside, ignore_errors=True)
    return made_socket, inode


def remove_socket(path: Path, inode: int) -> None:
    """Remove the one of that inode; another's stays. Raises OSError."""
    if path.lstat().st_ino == inode:
        path.unlink()
