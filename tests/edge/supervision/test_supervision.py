"""A loop that hangs is put safe and not answered for; a program that fails again and again stands; cameras are not hammered."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.clock import ManualClock, SystemClock
from edge.supervision.backoff import Backoff
from edge.supervision.restart_budget import RestartBudget, Start, this_moment
from edge.supervision.service_manager import ServiceManager
from edge.supervision.watchdog import Watchdog

UNIT = Path(__file__).parents[3] / "tools/flash/rootfs/etc/systemd/system/edge-inspect@.service"
MS, MINUTE_NS = 1_000_000, 60_000_000_000


class Manager:
    """A real datagram socket in place of systemd's, in the file system or in the abstract namespace."""

    def __init__(self, address: str, watchdog_us: int | None = 15_000_000) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.settimeout(5)
        self.environment = {"NOTIFY_SOCKET": address, "WATCHDOG_PID": str(os.getpid())}
        if watchdog_us is not None:
            self.environment["WATCHDOG_USEC"] = str(watchdog_us)

    def heard(self) -> list[str]:
        messages = []
        self.socket.setblocking(False)
        try:
            while True:
                messages.append(self.socket.recv(4096).decode())
        except BlockingIOError:
            return messages


@pytest.mark.parametrize("abstract", [False, True])
def test_what_systemd_is_told(tmp_path: Path, abstract: bool) -> None:
    manager = Manager(f"@edge-inspect-test-{os.getpid()}" if abstract else str(tmp_path / "notify"))
    service = ServiceManager(manager.environment)
    service.extend_start(90)
    service.ready("calibration 3\nWATCHDOG=0")
    service.alive()
    service.status("40 parts")
    service.stopping()
    service.close()
    service.close()
    service.alive()
    assert manager.heard() == [
        "EXTEND_TIMEOUT_USEC=90000000",
        "READY=1\nSTATUS=calibration 3 WATCHDOG=0",
        "WATCHDOG=1",
        "STATUS=40 parts",
        "STOPPING=1",
    ]
    manager.socket.close()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "15000000"}, None),
        ({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "15000000"}, 15_000_000_000),
        ({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "15000000", "WATCHDOG_PID": "1"}, None),
        ({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "0"}, None),
        ({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "soon"}, None),
        ({"NOTIFY_SOCKET": "vsock:2:9", "WATCHDOG_USEC": "15000000"}, None),
    ],
)
def test_how_often_it_wants_to_hear(environment: dict[str, str], expected: int | None) -> None:
    service = ServiceManager(environment)
    assert service.watchdog_ns == expected
    service.alive()  # nobody there: no error, and no wait
    service.close()


def test_a_full_socket_loses_a_message_and_holds_nobody_up(tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "notify"))
    service = ServiceManager(manager.environment)
    for _ in range(100_000):
        service.alive()
        if service.lost:
            break
    assert service.lost == 1
    service.close()
    manager.socket.close()


class Watched:
    def __init__(self, tmp_path: Path, limit_ms: int = 2000, watchdog_us: int | None = 1_000_000) -> None:
        self.manager = Manager(str(tmp_path / "notify"), watchdog_us)
        self.clock = ManualClock(1)
        self.told: list[str] = []
        self.failing = 0
        self.service = ServiceManager(self.manager.environment)
        self.dog = Watchdog(limit_ms * MS, self.late, lambda: self.told.append("back"), self.service, self.clock)

    def late(self, reason: str) -> None:
        self.told.append(reason)
        if self.failing > 0:
            self.failing -= 1
            raise OSError("the line is gone")

    def pass_time(self, milliseconds: int, beating: bool = True) -> None:
        for _ in range(milliseconds // 100):
            self.clock.advance_ms(100)
            if beating:
                self.dog.beat()
            self.dog.look()

    def close(self) -> None:
        self.service.close()
        self.manager.socket.close()


def test_it_is_pinged_at_half_of_its_time_while_cycles_complete(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.pass_time(2000)
    assert 4 <= len(watched.manager.heard()) <= 6
    assert watched.told == []
    watched.close()


def test_a_loop_that_hangs_is_put_safe_once_and_not_answered_for_until_it_beats_again(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.pass_time(500)
    watched.manager.heard()
    watched.pass_time(5000, beating=False)
    assert len(watched.manager.heard()) <= 1  # for the last beat
    assert watched.told == ["no cycle was completed for 2.1 s, 2.0 s are allowed"]
    assert watched.dog.is_late
    watched.pass_time(300)
    assert watched.told[1:] == ["back"]
    assert watched.manager.heard() == ["WATCHDOG=1"]
    watched.close()


def test_a_line_that_could_not_be_put_safe_is_tried_again(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.pass_time(100)
    watched.failing = 2
    watched.clock.advance_ms(3000)
    for _ in range(2):
        with pytest.raises(OSError, match="line is gone"):
            watched.dog.look()
        assert not watched.dog.is_late
    watched.dog.look()
    watched.dog.look()
    assert watched.dog.is_late
    assert len(watched.told) == 3
    watched.close()


def test_before_the_first_beat_it_neither_barks_nor_pings(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.pass_time(10_000, beating=False)
    assert watched.told == watched.manager.heard() == []
    watched.close()


def test_the_thread_looks_and_survives_a_callback_that_fails(tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "notify"), 400_000)
    safe, tries = threading.Event(), []

    def late(_: str) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError("not at once")
        safe.set()

    service = ServiceManager(manager.environment)
    with Watchdog(300 * MS, late, lambda: None, service, SystemClock()) as dog:
        dog.beat()
        assert manager.socket.recv(64) == b"WATCHDOG=1"
        assert safe.wait(20)
    service.close()
    manager.socket.close()


class Boot:
    """A machine's boot and the time since."""

    def __init__(self) -> None:
        self.boot, self.at_ns = "first", 0

    def __call__(self) -> Start:
        return Start(boot=self.boot, at_ns=self.at_ns)


def test_more_crashes_than_the_budget_leave_it_standing_until_time_has_passed(tmp_path: Path) -> None:
    boot, path, told = Boot(), tmp_path / "state" / "starts.json", []
    for _ in range(7):
        told.append(RestartBudget(path, 5, 10, boot).begin())
        boot.at_ns += MINUTE_NS
    assert [bool(one) for one in told] == [False] * 5 + [True] * 2
    assert (
        f"started 6 times within 5 min without one orderly end; the line stays safe: see why in the log, then remove {path}"
        in told[5]
    )
    boot.at_ns += 8 * MINUTE_NS
    assert RestartBudget(path, 5, 10, boot).begin() == ""


def test_orderly_ends_a_reboot_and_a_removed_file_do_not_count(tmp_path: Path) -> None:
    boot, path = Boot(), tmp_path / "starts.json"
    for _ in range(20):
        budget = RestartBudget(path, 3, 10, boot)
        assert budget.begin() == ""
        boot.at_ns += 1
        budget.ended()
        budget.ended()
    for _ in range(3):
        assert RestartBudget(path, 3, 10, boot).begin() == ""
    boot.boot, boot.at_ns = "second", 0
    for _ in range(3):
        assert RestartBudget(path, 3, 10, boot).begin() == ""
    assert RestartBudget(path, 3, 10, boot).begin() != ""
    path.unlink()
    assert RestartBudget(path, 3, 10, boot).begin() == ""


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 5 * MINUTE_NS), st.booleans()), max_size=40))
def test_it_stands_exactly_when_so_many_starts_before_ended_badly(
    tmp_path_factory: pytest.TempPathFactory, starts: list[tuple[int, bool]]
) -> None:
    boot, path = Boot(), tmp_path_factory.mktemp("budget") / "starts.json"
    crashes: list[int] = []
    for passed, orderly in starts:
        boot.at_ns += passed
        budget = RestartBudget(path, 3, 10, boot)
        recent = [at for at in crashes if boot.at_ns - at < 10 * MINUTE_NS]
        assert bool(budget.begin()) == (len(recent) >= 3)
        if orderly:
            budget.ended()
        else:
            crashes.append(boot.at_ns)
    assert path.exists() == bool(starts)
    if starts:
        assert path.stat().st_size < 1000


def test_a_damaged_file_is_an_empty_one_and_a_place_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    path = tmp_path / "starts.json"
    path.write_text('{"starts": [{"boot"')
    assert RestartBudget(path, 1, 10).begin() == ""
    assert RestartBudget(path, 1, 10).begin() != ""
    (tmp_path / "file").write_text("")
    unwritable = RestartBudget(tmp_path / "file" / "starts.json", 1)
    assert [unwritable.begin() for _ in range(3)] == [""] * 3
    unwritable.ended()
    assert this_moment().boot == this_moment().boot


def test_a_camera_is_tried_ever_more_rarely_and_at_once_again_after_it_was_steady() -> None:
    backoff = Backoff(250, 15_000, 30_000)
    waits = [backoff.failed(0) // MS for _ in range(9)]
    assert waits == [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]
    backoff.opened(100_000 * MS)
    assert backoff.failed(105_000 * MS) // MS == 15_000  # lost again at once: no steady camera
    backoff.opened(200_000 * MS)
    backoff.opened(229_000 * MS)
    assert backoff.failed(230_000 * MS) // MS == 250
    with pytest.raises(ValueError, match="first_ms"):
        Backoff(10, 5)


def unit() -> dict[str, list[str]]:
    parser = configparser.RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    text = UNIT.read_text(encoding="utf-8")
    parser.read_string(re.sub(r"^Environment=.*\n", "", text, flags=re.MULTILINE))
    assert parser.sections() == ["Unit", "Service", "Install"]
    return {key: value.split() for section in parser.sections() for key, value in parser.items(section)}


def test_the_unit_hears_when_it_is_ready_restarts_always_and_keeps_its_devices() -> None:
    keys = unit()
    assert keys["Type"] == ["notify"]
    assert keys["WatchdogSec"] == ["15"]
    assert keys["Restart"] == ["always"]
    assert keys["SupplementaryGroups"] == ["video", "gpio", "render"]
    assert keys["StartLimitIntervalSec"] == ["0"]  # the program has a budget of its own
    for name in (
        "NoNewPrivileges",
        "ProtectHome",
        "PrivateTmp",
        "ProtectKernelTunables",
        "ProtectKernelModules",
        "ProtectKernelLogs",
    ):
        assert keys[name] == ["yes"]
    assert keys["ProtectSystem"] == ["strict"]
    assert not {"PrivateDevices", "MemoryDenyWriteExecute", "DevicePolicy"} & set(keys)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8").replace("/opt/edge-inspect/bin/edge-inspect", shutil.which("true") or "/bin/true")
    file = tmp_path / "edge-inspect@line1.service"
    file.write_text(text, encoding="utf-8")
    result = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    assert str(file.name) not in result.stderr
