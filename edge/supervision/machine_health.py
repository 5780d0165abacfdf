"""What the machine under the inspection does: it was asleep, stood still, is throttled, or runs out of memory.

``Clocks`` is pure over times handed in; ``SystemTree`` reads files under a root, so that it is tested on a made-up tree.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

SUSPENDED_NS = 50_000_000
STEP_NS = 500_000_000
NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on the three clocks, nanoseconds: CLOCK_MONOTONIC stands while suspended, CLOCK_BOOTTIME does not."""

    monotonic_ns: int
    boottime_ns: int
    wall_ns: int

    @classmethod
    def now(cls) -> Instant:
        """Of this machine."""
        return cls(time.monotonic_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME), time.time_ns())


@dataclass(frozen=True, slots=True)
class ClockNews:
    """fault: why nothing is known of the parts in flight; empty else. step: a step of the wall clock, only to be logged."""

    fault: str = ""
    step: str = ""


class Clocks:
    """Looks at the clocks now and then. ``gap_ns``: longer between two looks than this, and the program stood still."""

    def __init__(self, start: Instant, gap_ns: int) -> None:
        self._last, self._gap_ns = start, gap_ns

    def look(self, now: Instant) -> ClockNews:
        """What happened since the last look."""
        last, self._last = self._last, now
        passed, real = now.monotonic_ns - last.monotonic_ns, now.boottime_ns - last.boottime_ns
        stepped = (now.wall_ns - last.wall_ns) - real
        step = f"the wall clock was set by {stepped / NANOSECONDS:+.1f} s" if abs(stepped) > STEP_NS else ""
        if passed < 0:
            return ClockNews(f"the monotonic clock went back by {-passed / NANOSECONDS:.3f} s", step)
        if real - passed > SUSPENDED_NS:
            return ClockNews(f"the machine was suspended for {(real - passed) / NANOSECONDS:.1f} s", step)
        if passed > self._gap_ns:
            return ClockNews(f"the program stood still for {passed / NANOSECONDS:.1f} s", step)
        return ClockNews("", step)


class SystemTree:
    """Reads /sys and /proc under ``root``. What is not there, or cannot be read, says nothing. For a thread beside the line.

    Throttling is told by: a Jetson's cooling device ``…-throttle-alert`` that is on; a zone at or above its ``passive`` trip; a
    counter of throttling (``core_throttle_count`` of a PC, ``oc*_event_cnt`` of a Jetson: too much current) that has grown. The
    Jetson's names were never read on a board.
    """

    def __init__(self, root: Path = Path("/"), least_memory_mb: int = 200) -> None:
        self._root, self._least_mb = root, least_memory_mb
        self._counts = self._counters()

    def throttled(self) -> str:
        """Why the machine is slower than it could be; empty where it is not."""
        for device in self._sorted("sys/class/thermal", "cooling_device*"):
            kind, state = _text(device / "type"), _number(device / "cur_state")
            if kind.endswith("throttle-alert") and state is not None and state > 0:
                return f"{kind} is on: the machine is hot and slowed down"
        for zone in self._sorted("sys/class/thermal", "thermal_zone*"):
            heat = _number(zone / "temp")
            for trip in sorted(zone.glob("trip_point_*_type")):
                limit = _number(zone / trip.name.replace("_type", "_temp"))
                if _text(trip) == "passive" and heat is not None and limit is not None and 0 < limit <= heat:
                    return f"{_text(zone / 'type')} has {heat / 1000:.0f} °C, and is slowed down from {limit / 1000:.0f} °C on"
        before, self._counts = self._counts, self._counters()
        for path, count in self._counts.items():
            if count > before.get(path, count):
                return f"{path.parent.name}/{path.name} counted {count - before[path]} more: too hot, or too much current"
        return ""

    def temperatures(self) -> dict[str, float]:
        """°C of each thermal zone by its name; where several have the same, the hottest."""
        found: dict[str, float] = {}
        for zone in self._sorted("sys/class/thermal", "thermal_zone*"):
            name, heat = _text(zone / "type"), _number(zone / "temp")
            if name and heat is not None:
                found[name] = max(heat / 1000, found.get(name, heat / 1000))
        return found

    def short_of_memory(self) -> str:
        """How little is left, where it is too little; empty else."""
        for line in _text(self._root / "proc/meminfo").splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                kilobytes = value.split()[0] if value.split() else ""
                if kilobytes.isdecimal() and int(kilobytes) // 1024 < self._least_mb:
                    return f"{int(kilobytes) // 1024} MB of memory are left, expected {self._least_mb}; end what else runs here"
        return ""

    def _counters(self) -> dict[Path, int]:
        paths = self._sorted("sys/devices/system/cpu", "cpu*/thermal_throttle/*_throttle_count")
        paths += self._sorted("sys/class/hwmon", "hwmon*/oc*_event_cnt")
        counts = {path: _number(path) for path in paths}
        return {path: count for path, count in counts.items() if count is not None}

    def _sorted(self, folder: str, pattern: str) -> list[Path]:
        return sorted((self._root / folder).glob(pattern))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    try:
        return int(_text(path))
    except ValueError:
        return None
