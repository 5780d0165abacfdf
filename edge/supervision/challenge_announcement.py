"""The word of an operator to the running inspection, as a file in the state folder: the next part is the challenge part."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from edge.clock import Clock
from edge.errors import OutputError
from edge.storage.durable_files import write_file

FILE = "challenge-announced.json"


class ChallengeAnnouncement:
    """Anyone may announce; the running inspection looks. What was announced before it looked for the first time counts no more."""

    def __init__(self, state: Path) -> None:
        self._path = state / FILE
        self._seen = self._state()

    def announce(self, operator: str, clock: Clock) -> None:
        """The next part is it. Raises OutputError."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock.wall_ns() / 1e9))
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self._path.parent}: cannot write there: {error.strerror}; choose another --state") from error
        write_file(self._path, json.dumps({"operator": operator, "time": now}).encode() + b"\n")

    def came(self) -> bool:
        """True once for each announcement. Looks at the disk: for a thread beside the line."""
        state = self._state()
        if state is None or state == self._seen:
            return False
        self._seen = state
        return True

    def _state(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_ino, status.st_ctime_ns
