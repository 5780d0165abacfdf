"""A loop that hangs is put safe and not answered for; systemd hears of one that completes."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from edge.clock import ManualClock, SystemClock
from edge.supervision.service_manager import ServiceManager
from edge.supervision.watchdog import Watchdog

MS = 1_000_000


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
