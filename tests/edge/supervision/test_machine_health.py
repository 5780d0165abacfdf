"""Sleep, standing still, a clock that was set; heat and memory as a made-up tree of /sys and /proc tells them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.supervision.machine_health import ClockNews, Clocks, Instant, SystemTree

S = 1_000_000_000
START = Instant(10 * S, 50 * S, 1_700_000_000 * S)


def later(monotonic: float, boottime: float, wall: float) -> Instant:
    return Instant(START.monotonic_ns + int(monotonic * S), START.boottime_ns + int(boottime * S), START.wall_ns + int(wall * S))


@pytest.mark.parametrize(
    ("now", "fault", "step"),
    [
        (later(0.1, 0.1, 0.1), "", ""),
        (later(0.1, 5.1, 5.1), "suspended for 5.0 s", ""),
        (later(3, 3, 3), "stood still for 3.0 s", ""),
        (later(0.1, 0.1, 3600), "", "set by +3599.9 s"),
        (later(0.1, 0.1, -60), "", "set by -60.1 s"),
        (later(-0.1, 0, 0), "went back", ""),
        (later(0.1, 9.1, 60), "suspended for 9.0 s", "set by +50.9 s"),
    ],
)
def test_what_the_clocks_tell(now: Instant, fault: str, step: str) -> None:
    news = Clocks(START, gap_ns=S).look(now)
    assert fault in news.fault
    assert bool(news.fault) == bool(fault)
    assert step in news.step
    assert bool(news.step) == bool(step)


@given(st.lists(st.integers(0, S), min_size=1, max_size=20), st.floats(-400, 400))
def test_time_that_only_passes_is_no_news_even_where_it_is_slewed(steps: list[int], parts_per_million: float) -> None:
    clocks, now = Clocks(START, gap_ns=S), START
    for step in steps:
        wall = now.wall_ns + step + int(step * parts_per_million / 1e6)
        now = Instant(now.monotonic_ns + step, now.boottime_ns + step, wall)
        assert clocks.look(now) == ClockNews()


def test_the_machine_has_all_three_clocks() -> None:
    clocks = Clocks(Instant.now(), gap_ns=60 * S)
    assert clocks.look(Instant.now()) == ClockNews()


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def test_a_tree_without_anything_says_nothing(tmp_path: Path) -> None:
    tree = SystemTree(tmp_path)
    assert tree.throttled() == tree.short_of_memory() == ""


def test_a_throttle_alert_is_told_while_it_is_on(tmp_path: Path) -> None:
    device = "sys/class/thermal/cooling_device3"
    write(tmp_path, f"{device}/type", "cpu-throttle-alert\n")
    write(tmp_path, f"{device}/cur_state", "0\n")
    write(tmp_path, "sys/class/thermal/cooling_device4/type", "pwm-fan\n")
    write(tmp_path, "sys/class/thermal/cooling_device4/cur_state", "3\n")
    tree = SystemTree(tmp_path)
    assert tree.throttled() == ""
    write(tmp_path, f"{device}/cur_state", "1\n")
    assert "cpu-throttle-alert is on" in tree.throttled()
    write(tmp_path, f"{device}/cur_state", "not a number\n")
    assert tree.throttled() == ""


def test_a_zone_at_its_passive_trip_is_told_and_one_that_cannot_be_read_is_not(tmp_path: Path) -> None:
    zone = "sys/class/thermal/thermal_zone0"
    write(tmp_path, f"{zone}/type", "cpu-thermal\n")
    for index, (kind, limit) in enumerate((("critical", 105_000), ("passive", 99_000), ("active", 40_000))):
        write(tmp_path, f"{zone}/trip_point_{index}_type", kind)
        write(tmp_path, f"{zone}/trip_point_{index}_temp", str(limit))
    tree = SystemTree(tmp_path)
    assert tree.throttled() == ""  # no temperature: a zone that is off
    write(tmp_path, f"{zone}/temp", "98900\n")
    assert tree.throttled() == ""
    write(tmp_path, f"{zone}/temp", "99000\n")
    assert tree.throttled() == "cpu-thermal has 99 °C, and is slowed down from 99 °C on"


@pytest.mark.parametrize(
    "name", ["sys/class/hwmon/hwmon2/oc3_event_cnt", "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count"]
)
def test_a_counter_is_told_when_it_grows_and_not_for_what_it_was(tmp_path: Path, name: str) -> None:
    write(tmp_path, name, "41\n")
    tree = SystemTree(tmp_path)
    assert tree.throttled() == ""
    write(tmp_path, name, "43\n")
    assert "counted 2 more" in tree.throttled()
    assert tree.throttled() == ""


def test_little_memory_is_told(tmp_path: Path) -> None:
    tree = SystemTree(tmp_path)
    write(tmp_path, "proc/meminfo", "MemTotal: 8000000 kB\nMemAvailable:   512000 kB\n")
    assert tree.short_of_memory() == ""
    write(tmp_path, "proc/meminfo", "MemTotal: 8000000 kB\nMemAvailable:   102400 kB\n")
    assert "100 MB of memory are left, expected 200" in tree.short_of_memory()
    write(tmp_path, "proc/meminfo", "MemAvailable: a few\nMemAvailable:\n")
    assert tree.short_of_memory() == ""


def test_this_machine_can_be_read() -> None:
    assert isinstance(SystemTree().throttled(), str)
