"""Every output line watched from a process of its own, with monotonic times: what the machine at the line would see."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.hil.inside.chip import OUTPUTS, Chip

LOOK_NS = 2_000_000
STALL = "(the machine stood still)"
STALL_NS = 8_000_000
HELD_UP_MS = 100
PRIORITY = 80
"""Above the inspection's own, so that it is not the watch that is late."""


@dataclass(frozen=True)
class Change:
    """A line had another level at ``at_ns`` than at ``before_ns``, when it was looked at last; None: it could not be read."""

    line: str
    level: bool | None
    before_ns: int
    at_ns: int


class LineWatch:
    """While open. Changes come a moment late: those of a process of its own."""

    def __init__(self, chip: Chip) -> None:
        self.changes: list[Change] = []
        files = {name: str(chip.file(name)) for name in OUTPUTS}
        command = [sys.executable, "-S", "-m", __spec__.name, json.dumps(files)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        while len(self.changes) < len(OUTPUTS):  # the levels at the start
            assert self._process.poll() is None, "the watch on the lines did not start"
            time.sleep(0.01)

    def of(self, line: str, from_ns: int = 0, to_ns: int | None = None) -> list[Change]:
        """The changes of one line, oldest first."""
        seen = [change for change in list(self.changes) if change.line == line and change.at_ns >= from_ns]
        return [change for change in seen if to_ns is None or change.at_ns <= to_ns]

    def stalled_ns(self, from_ns: int, to_ns: int) -> int:
        """How long the whole machine stood still then: the watch comes before all else in it, and was not run either."""
        stalls = [(one.before_ns + LOOK_NS, one.at_ns) for one in list(self.changes) if one.line == STALL]
        return sum(max(0, min(end, to_ns) - max(begin, from_ns)) for begin, end in stalls)

    def level_at(self, line: str, at_ns: int) -> bool | None:
        """As it was last seen before."""
        return next(
            (change.level for change in reversed(list(self.changes)) if change.line == line and change.at_ns <= at_ns), None
        )

    @contextmanager
    def unless_held_up(self) -> Iterator[None]:
        """Of what hangs on times: a failure while the host held up the machine proves nothing; it is a skip, with its words."""
        began_ns = time.monotonic_ns()
        try:
            yield
        except (AssertionError, TimeoutError) as error:
            held_up_ms = self.stalled_ns(began_ns, time.monotonic_ns()) / 1e6
            if held_up_ms < HELD_UP_MS:
                raise
            import pytest  # not in the watching process, which must be light

            pytest.skip(f"the host held up the machine for {held_up_ms:.0f} ms, and then: {error}")

    def wait_for(self, line: str, level: bool, since_ns: int, timeout_s: float) -> Change:
        """The first change of ``line`` to ``level`` after ``since_ns``; raises TimeoutError."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            for change in self.of(line, since_ns):
                if change.level is level:
                    return change
            time.sleep(0.005)
        raise TimeoutError(f"{line} did not become {level} within {timeout_s} s: {self.of(line)[-5:]}")

    def close(self) -> None:
        """Stop watching; may be called twice."""
        self._process.kill()
        self._process.wait()
        self._thread.join()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.changes.append(Change(*json.loads(line)))


def _watch(files: dict[str, str]) -> None:
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    handles: dict[str, int] = {}
    levels: dict[str, bool | None] = {}
    before_ns = time.monotonic_ns()
    while True:
        now_ns = time.monotonic_ns()
        for name, path in files.items():
            level: bool | None
            try:
                if name not in handles:
                    handles[name] = os.open(path, os.O_RDONLY)
                level = os.pread(handles[name], 1, 0) == b"1"
            except OSError:  # its chip is gone
                if name in handles:
                    os.close(handles.pop(name))
                level = None
            if name not in levels or level is not levels[name]:
                levels[name] = level
                print(json.dumps([name, level, before_ns, now_ns]), flush=True)
        if now_ns - before_ns > STALL_NS:
            print(json.dumps([STALL, None, before_ns, now_ns]), flush=True)
        before_ns = now_ns
        time.sleep(LOOK_NS / 1e9)


if __name__ == "__main__":
    _watch({name: str(Path(path)) for name, path in json.loads(sys.argv[1]).items()})
