"""A trigger by program: a datagram to a Unix socket in the state folder, which its owner alone may send."""

from __future__ import annotations

import select
import socket
from contextlib import suppress
from pathlib import Path

from edge.clock import Clock
from edge.errors import LineError, LineOpenError
from edge.storage.private_socket import bound_socket, is_served, remove_socket, short_path
from edge.triggers.base import Trigger, TriggerEvent
from edge.triggers.pitch_watch import PitchWatch

SOCKET = "trigger.sock"
TRIGGER = b"T"
"""What a datagram says; any other is no trigger."""
MOST_AT_ONCE = 64
SEND_TIMEOUT_S = 1.0


class SoftwareTrigger(Trigger):
    """Listens at ``path`` until closed; a part was there when its datagram was read. ``refused`` counts those that said else.

    Raises LineOpenError where it cannot listen, also where another inspection does already.
    """

    def __init__(self, path: Path, clock: Clock, pitch: PitchWatch | None = None) -> None:
        self.name = f"software trigger ({path})"
        self._path, self._clock, self._pitch = path, clock, pitch
        self.refused = 0
        self._closed = False
        if is_served(path, socket.SOCK_DGRAM):
            raise LineOpenError(f"{path}: another edge-inspect takes triggers there; stop it, or choose another --state")
        try:
            self._socket, self._inode = bound_socket(path, socket.SOCK_DGRAM)
        except OSError as error:
            raise LineOpenError(f"{path}: cannot take triggers there: {error.strerror or error}; choose another --state") from error
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def wait(self, timeout_s: float) -> list[TriggerEvent]:
        if self._closed:
            raise LineError(f"{self.name}: is closed; open it again")
        if not self._poll.poll(max(0.0, timeout_s) * 1000):
            return []
        events: list[TriggerEvent] = []
        for _ in range(MOST_AT_ONCE):
            try:
                said = self._socket.recv(16)
            except BlockingIOError:
                break
            except OSError as error:
                raise LineError(f"{self.name}: cannot be read: {error.strerror}; start edge-inspect again") from error
            if said != TRIGGER:
                self.refused += 1
                continue
            now = self._clock.monotonic_ns()
            events.append(TriggerEvent(now, None, self._pitch.missed(now) if self._pitch is not None else 0))
        return events

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._socket.close()
        with suppress(OSError):
            remove_socket(self._path, self._inode)


class TriggerSender:
    """Sends triggers to the inspection that listens at ``path``; raises LineOpenError where none does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(SEND_TIMEOUT_S)
        try:
            with short_path(path) as name:
                self._socket.connect(name)
        except PermissionError as error:
            self._socket.close()
            raise LineOpenError(f"{path}: no permission; send triggers as the user that edge-inspect runs as") from error
        except OSError as error:
            self._socket.close()
            raise LineOpenError(
                f"{path}: no edge-inspect takes triggers there; start one with `trigger: {{kind: software}}`, or correct --state"
            ) from error

    def send(self) -> None:
        """One trigger; raises LineError where the inspection takes no more."""
        try:
            self._socket.send(TRIGGER)
        except OSError as error:
            why = "too many wait to be taken" if isinstance(error, TimeoutError) else str(error.strerror)
            raise LineError(f"{self._path}: the trigger was not taken: {why}; is edge-inspect running?") from error

    def close(self) -> None:
        """Send no more."""
        self._socket.close()
