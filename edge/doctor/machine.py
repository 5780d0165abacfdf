"""The machine: clock, heat, power mode, disk, real-time permission. ``root`` stands in for / where files are read."""

from __future__ import annotations

import os
import re
import shutil
import threading
from pathlib import Path

from edge.doctor.finding import Findings
from edge.gpio.board_pins import board_of

ROOT = Path("/")
COARSE_CLOCKS = ("jiffies", "refined-jiffies", "acpi_pm", "hpet", "pit")
NEAR_LIMIT_C = 5.0
LOW_DISK_MB = 1000
NO_DISK_MB = 100
PRIORITY = 1


def check_machine(state: Path, findings: Findings, root: Path = ROOT) -> None:
    """Each by itself, so that one that cannot be read hides no other."""
    jetson = (root / "etc/nv_tegra_release").is_file()
    findings.run("board", lambda: _board(findings, root, jetson))
    findings.run("clock", lambda: _clock(findings, root))
    findings.run("temperature", lambda: _temperature(findings, root))
    if jetson:
        findings.run("power mode", lambda: _power_mode(findings, root))
        findings.run("CPU clocks", lambda: _clocks_held(findings, root))
        findings.run("throttling", lambda: _throttling(findings, root))
    findings.run("time of day", lambda: _time_of_day(findings, root))
    findings.run("disk", lambda: _disk(findings, state))
    findings.run("watchdog", lambda: _watchdog(findings, root))
    findings.run("real time", lambda: _real_time(findings))


def _board(findings: Findings, root: Path, jetson: bool) -> None:
    board = board_of(root / "proc/device-tree")
    release = _first_line(root / "etc/nv_tegra_release").lstrip("# ").split(", GCID")[0]
    if board is not None:
        findings.ok("board", f"{board.name}, L4T {release}" if jetson else board.name)
    else:
        findings.ok("board", f"no developer kit that is known, so no names of board pins{f'; L4T {release}' if jetson else ''}")


def _clock(findings: Findings, root: Path) -> None:
    source = _first_line(root / "sys/devices/system/clocksource/clocksource0/current_clocksource")
    if not source:
        findings.warning("clock", "the kernel does not tell its clock source", "mount /sys")
    elif source in COARSE_CLOCKS:
        findings.warning("clock", f"{source}, too coarse or slow for pulses of milliseconds", "boot with the CPU's own counter")
    else:
        findings.ok("clock", source)


def _temperature(findings: Findings, root: Path) -> None:
    hottest: tuple[float, str, float, str] | None = None
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        celsius = _number(zone / "temp", 1000)
        if celsius is None:
            continue
        limit = min(_passive_trips(zone), default=float("inf"))
        reading = (limit - celsius, _first_line(zone / "type") or zone.name, celsius, f"{limit:.0f}")
        hottest = reading if hottest is None or reading < hottest else hottest
    if hottest is None:
        findings.ok("temperature", "this machine does not tell it")
        return
    left, name, celsius, limit_words = hottest
    words = f"{name} {celsius:.0f} °C" + (f", slowed down from {limit_words} °C" if left != float("inf") else "")
    if left <= NEAR_LIMIT_C:
        findings.warning("temperature", words, "cool it: verdicts come late when it slows down, and late ones are FAULTs")
    else:
        findings.ok("temperature", words)


def _passive_trips(zone: Path) -> list[float]:
    trips = []
    for kind in zone.glob("trip_point_*_type"):
        value = _number(kind.with_name(kind.name.replace("_type", "_temp")), 1000)
        if _first_line(kind) in ("passive", "hot", "critical") and value is not None and value > 0:
            trips.append(value)
    return trips


def _power_mode(findings: Findings, root: Path) -> None:
    mode = re.search(r"pmode:(\d+)", _first_line(root / "var/lib/nvpmodel/status"))
    if mode is None:
        findings.warning("power mode", "nvpmodel has not told its mode", "run: sudo nvpmodel -q")
        return
    number = str(int(mode[1]))
    names = {}
    for line in _lines(root / "etc/nvpmodel.conf"):
        words = dict(part.split("=", 1) for part in line.strip("<> ").split() if "=" in part)
        if "POWER_MODEL" in line and {"ID", "NAME"} <= words.keys():
            names[words["ID"]] = words["NAME"]
    findings.ok("power mode", f"{number} ({names.get(number, 'name unknown')}); the station was timed in one mode, keep it")


def _clocks_held(findings: Findings, root: Path) -> None:
    folders = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"))
    loose = [one for one in folders if _first_line(one / "scaling_min_freq") != _first_line(one / "scaling_max_freq")]
    if not folders:
        findings.warning("CPU clocks", "the kernel does not tell them", "mount /sys")
    elif loose:
        findings.warning(
            "CPU clocks", f"{len(loose)} of {len(folders)} CPUs may slow down between parts", "run: sudo jetson_clocks"
        )
    else:
        findings.ok("CPU clocks", "held at their highest")


def _throttling(findings: Findings, root: Path) -> None:
    """Over-current events since boot, as the board's monitors count them."""
    counters = sorted(root.glob("sys/class/hwmon/hwmon*/oc*_event_cnt"))
    events = {one.name.removesuffix("_event_cnt"): _number(one, 1) or 0 for one in counters}
    if not counters:
        findings.ok("throttling", "this board counts no over-current events")
    elif any(events.values()):
        words = ", ".join(f"{name}: {count:.0f}" for name, count in events.items() if count)
        findings.warning(
            "throttling", f"slowed down for its current since boot ({words})", "a stronger supply, or a lower power mode"
        )
    else:
        findings.ok("throttling", "none for over-current since boot")


def _time_of_day(findings: Findings, root: Path) -> None:
    if (root / "run/systemd/timesync/synchronized").exists() or (root / "run/chrony").is_dir():
        findings.ok("time of day", "set by the network")
    else:
        findings.warning(
            "time of day", "not set by the network, so records may bear wrong times", "set an NTP server, or the clock"
        )


def _watchdog(findings: Findings, root: Path) -> None:
    """The hardware one, which starts a machine anew whose kernel hangs; systemd's own watches the program."""
    timeouts = [_first_line(one) for one in sorted(root.glob("sys/class/watchdog/watchdog*/timeout"))]
    if timeouts:
        findings.ok("watchdog", f"the hardware has one ({timeouts[0]} s); systemd watches the program")
    else:
        findings.ok("watchdog", "the hardware has none that Linux knows; systemd watches the program")


def _disk(findings: Findings, state: Path) -> None:
    there = next((one for one in (state, *state.absolute().parents) if one.is_dir()), Path("/"))
    free_mb = shutil.disk_usage(there).free / 1e6
    words = f"{free_mb:,.0f} MB free for {state}".replace(",", " ")
    if not os.access(there, os.W_OK | os.X_OK):
        findings.failed("disk", f"{there} cannot be written to by this user", "give it to the user that edge-inspect runs as")
    elif free_mb < NO_DISK_MB:
        findings.failed("disk", words, "free some: no calibration could be written")
    elif free_mb < LOW_DISK_MB:
        findings.warning("disk", words, "free some, or lower the archive's budget")
    else:
        findings.ok("disk", words)


def _real_time(findings: Findings) -> None:
    """A thread of its own tries, and ends with what it was given."""
    allowed: list[bool] = []

    def ask() -> None:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
        except OSError:
            allowed.append(False)
        else:
            allowed.append(True)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    if allowed == [True]:
        findings.ok("real time", "this user may run threads with SCHED_FIFO")
    else:
        findings.warning(
            "real time", "this user may not, so pulses can be some milliseconds late on a busy machine",
            "LimitRTPRIO=50 in the unit, or `rtprio` in /etc/security/limits.conf",
        )  # fmt: skip


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _first_line(path: Path) -> str:
    return next(iter(_lines(path)), "").strip("\0 ")


def _number(path: Path, divisor: float) -> float | None:
    try:
        return float(_first_line(path)) / divisor
    except ValueError:
        return None
