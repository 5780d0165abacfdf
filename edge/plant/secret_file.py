"""A password or a token in a file, so that it stands in no station file and in no list of processes."""

from __future__ import annotations

from pathlib import Path

from edge.errors import PlantError

LONGEST = 4096


def secret(path: Path) -> str:
    """The first line of ``path``; raises PlantError."""
    try:
        with path.open(encoding="utf-8") as file:
            line = file.readline(LONGEST).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise PlantError(f"{path}: cannot read the secret there: {why}; correct the path or its permissions") from error
    if not line:
        raise PlantError(f"{path}: expected a password or a token in its first line, it is empty; write one")
    return line
