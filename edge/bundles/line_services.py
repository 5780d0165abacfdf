"""The services that inspect on this device, through systemctl: which run, and whether they run well after a restart."""

from __future__ import annotations

import subprocess
import threading
from dataclasses import dataclass

from edge.clock import Clock
from edge.errors import EdgeInspectError

UNITS = "edge-inspect@*.service"
POLL_NS = 500_000_000
STEADY_NS = 10_000_000_000
"""A service that is ready for so long after its restart runs."""
START_NS = 300_000_000_000
"""A service that is not ready by then does not: a plan was built before, so a start takes seconds."""
COMMAND_S = 60.0


class ServiceError(EdgeInspectError):
    """A service does not run as it did before."""


@dataclass(frozen=True, slots=True)
class LineService:
    """One unit. ready: it inspected, or could have, when it was looked at."""

    unit: str
    ready: bool


class LineServices:
    """stop: gives up waiting."""

    def __init__(self, clock: Clock, stop: threading.Event) -> None:
        self._clock, self._stop = clock, stop

    def running(self) -> list[LineService]:
        """Units that are up or coming up; none where there is no systemd."""
        try:
            out = _systemctl("list-units", "--plain", "--no-legend", "--no-pager", "--all", UNITS)
        except (OSError, ServiceError):
            return []
        rows = [line.split() for line in out.splitlines()]
        return [LineService(row[0], row[2] == "active") for row in rows if len(row) > 3 and row[2] in ("active", "activating")]

    def restart(self, services: list[LineService]) -> None:
        """Start them anew and see them ready; raises ServiceError. One that was not ready before need not be now, only not fail."""
        for one in services:
            _systemctl("restart", "--no-block", one.unit)
        for one in services:
            self._see(one)

    def _see(self, service: LineService) -> None:
        begun, ready_since = self._clock.monotonic_ns(), None
        restarts = None
        while (now := self._clock.monotonic_ns()) - begun < START_NS:
            shown = _systemctl("show", "--property=ActiveState,NRestarts", service.unit)
            state = dict(line.partition("=")[::2] for line in shown.splitlines())
            restarts = state.get("NRestarts") if restarts is None else restarts
            if state.get("ActiveState") == "failed" or state.get("NRestarts") != restarts:
                raise ServiceError(f"{service.unit} does not stay up (see journalctl -u {service.unit})")
            good = state.get("ActiveState") == "active" or (not service.ready and state.get("ActiveState") == "activating")
            ready_since = (now if ready_since is None else ready_since) if good else None
            if ready_since is not None and now - ready_since >= STEADY_NS:
                return
            if self._clock.wait(self._stop, POLL_NS):
                raise ServiceError("told to stop while a restart was watched")
        raise ServiceError(f"{service.unit} is not ready after {START_NS // 1_000_000_000} s (see journalctl -u {service.unit})")


def _systemctl(*words: str) -> str:
    try:
        result = subprocess.run(["systemctl", *words], capture_output=True, text=True, timeout=COMMAND_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise ServiceError(f"systemctl {words[0]} does not answer") from error
    if result.returncode != 0:
        raise ServiceError(f"systemctl {words[0]}: {' '.join(result.stderr.split()) or result.returncode}")
    return result.stdout
