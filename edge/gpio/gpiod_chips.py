"""libgpiod 2: imported where it is needed, chips found by label, lines by name, and what an error there means."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import LineOpenError
from edge.gpio.board_pins import LineAddress

CONSUMER = "edge-inspect"


@dataclass(frozen=True, slots=True)
class FoundLine:
    """A line that is there. path: of its chip. user: who holds it, as the kernel tells; empty where it is free."""

    path: str
    offset: int
    user: str


def import_gpiod() -> Any:
    """The module ``gpiod``; raises LineOpenError with the remedy where there is none, or the old one."""
    try:
        import gpiod
    except ImportError as error:
        raise LineOpenError("gpiod (libgpiod ≥ 2) is not installed; run: pip install 'edge-inspect[gpio]'") from error
    if not hasattr(gpiod, "request_lines"):
        raise LineOpenError("the installed gpiod is the old API (1.x); run: pip install 'gpiod>=2'")
    return gpiod


def find_line(gpiod: Any, address: LineAddress, name: str) -> FoundLine:
    """Look a line up without requesting it; raises LineOpenError, which calls it ``name``."""
    path = _find_chip(gpiod, address.chip, name)
    with gpiod.Chip(path) as chip:
        try:
            offset = chip.line_offset_from_id(address.line)
            info = chip.get_line_info(offset)
        except (OSError, ValueError) as error:
            raise LineOpenError(
                f"{name}: {path} has no such line ({chip.get_info().num_lines} lines); list them with `gpioinfo`"
            ) from error
    return FoundLine(path, offset, (info.consumer or "the kernel") if info.used else "")


def refused(name: str, user: str, error: OSError) -> LineOpenError:
    """What to say when the kernel refuses a request."""
    if error.errno == errno.EBUSY:
        return LineOpenError(f"{name}: is in use by {user or 'the kernel'!r}; stop that program")
    return LineOpenError(f"{name}: cannot be requested: {error.strerror}; check its permissions and pin mux")


def _find_chip(gpiod: Any, wanted: str, line: str) -> str:
    found = []
    for path in sorted(Path("/dev").glob("gpiochip*")):
        try:
            with gpiod.Chip(str(path)) as chip:
                info = chip.get_info()
        except PermissionError as error:
            raise LineOpenError(f"{line}: no permission for {path}; add this user to the group `gpio`") from error
        except OSError:
            continue  # a chip that goes away while we look is not the one we want
        if wanted in (str(path), info.name, info.label):
            return str(path)
        found.append(f"{info.label} ({path})")
    raise LineOpenError(f"{line}: there is no GPIO chip {wanted!r}; present: {', '.join(found) or 'none'}")
