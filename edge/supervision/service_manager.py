"""systemd's notify protocol over NOTIFY_SOCKET (sd_notify(3)), without a package. Without a service manager it does nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

LONGEST_STATUS = 200


class ServiceManager:
    """Sends to the socket that the environment names. Never blocks and never raises: a full or absent socket loses a message.

    ``watchdog_ns``: within which it wants to hear that all is well, None where it does not ask.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self.watchdog_ns = _watchdog_ns(environment) if self._address else None
        self.lost = 0
        """Messages that did not get through."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) if self._address else None
        if self._socket is not None:
            self._socket.setblocking(False)

    def ready(self, status: str = "") -> None:
        """The start is over."""
        self._send("READY=1", status)

    def alive(self) -> None:
        """All is well; only after a completed cycle."""
        self._send("WATCHDOG=1")

    def status(self, status: str) -> None:
        """One line for people, which ``systemctl status`` shows."""
        self._send("", status)

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1")

    def extend_start(self, seconds: int) -> None:
        """Building an engine takes minutes: the start may last so much longer from now on."""
        self._send(f"EXTEND_TIMEOUT_USEC={seconds * 1_000_000}")

    def close(self) -> None:
        """Give the socket back; may be called twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, message: str, status: str = "") -> None:
        if self._socket is None:
            return
        lines = [message] if message else []
        if status:
            lines.append("STATUS=" + " ".join(status.split())[:LONGEST_STATUS])
        try:
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            self.lost += 1


def _address(name: str) -> str:
    """A path, or with @ a name in the abstract namespace; others, such as vsock, are not for us."""
    if name.startswith("@"):
        return "\0" + name[1:]
    return name if name.startswith("/") else ""


def _watchdog_ns(environment: Mapping[str, str]) -> int | None:
    pid, interval = environment.get("WATCHDOG_PID", ""), environment.get("WATCHDOG_USEC", "")
    if not interval.isdecimal() or int(interval) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(interval) * 1000
