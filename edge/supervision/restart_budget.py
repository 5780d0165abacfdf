"""How often the program may be started anew: one that ends by itself again and again is left standing, in FAULT and safe."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from edge.errors import OutputError
from edge.storage.durable_files import write_file
from edge.storage.strict_yaml import StrictModel

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Start(StrictModel):
    """One start. ``boot``: which boot of the machine; ``at_ns``: nanoseconds of CLOCK_BOOTTIME, which nobody sets."""

    boot: str
    at_ns: int


class Starts(StrictModel):
    """The file: starts whose end was not told, oldest first."""

    starts: list[Start]


def this_moment() -> Start:
    """Of this machine. The wall clock would not do: a Jetson without a battery starts each day in the past."""
    try:
        boot = BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        boot = "unknown"
    return Start(boot=boot, at_ns=time.clock_gettime_ns(time.CLOCK_BOOTTIME))


class RestartBudget:
    """At most ``starts`` within ``minutes`` of one boot, not counting those that ended as they should.

    path: a file in the state folder, one for each instance. A reboot, or removing the file, gives the whole budget back. Where it
    cannot be written nothing is counted: a full disk is no reason to stop a line.
    """

    def __init__(self, path: Path, starts: int = 5, minutes: float = 10, now: Callable[[], Start] = this_moment) -> None:
        self._path, self._most, self._within_ns, self._now = path, starts, round(minutes * 60e9), now
        self._mine: Start | None = None

    def begin(self) -> str:
        """Count this start; why the program must stay in FAULT, empty while the budget lasts."""
        now = self._now()
        recent = [one for one in self._read() if one.boot == now.boot and 0 <= now.at_ns - one.at_ns < self._within_ns]
        self._mine = now
        # More than one beyond the budget tell nothing, and would let the file grow.
        self._write([*recent[-self._most :], now])
        if len(recent) < self._most:
            return ""
        minutes = (now.at_ns - recent[0].at_ns) / 60e9
        return (
            f"started {len(recent) + 1} times within {max(1, round(minutes))} min without one orderly end; the line stays safe: "
            f"see why in the log, then remove {self._path} and start anew"
        )

    def ended(self) -> None:
        """This start came to an orderly end and no longer counts."""
        if self._mine is not None:
            left = self._read()
            if self._mine in left:
                left.remove(self._mine)
                self._write(left)
            self._mine = None

    def _read(self) -> list[Start]:
        try:
            return Starts.model_validate_json(self._path.read_bytes()).starts
        except (OSError, ValidationError):  # none yet, or edited by hand: nothing to count by
            return []

    def _write(self, starts: list[Start]) -> None:
        content = json.dumps(Starts(starts=starts).model_dump())
        with suppress(OSError, OutputError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_file(self._path, content.encode() + b"\n")
