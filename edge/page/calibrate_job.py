"""One ``calibrate`` at a time, as a process of its own: its progress line by line, its last words, and how to stop it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from edge.clock import Clock
from edge.errors import ConfigError, OutputError

MOST_LINES = 30
"""Of its last words."""
LONGEST_LINE = 4096
STOP_S = 10.0
Phase = Literal["none", "running", "done", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class JobState:
    """What is known of the present run, or the last one. stage, done, of: as calibrate tells its progress; of is 0 before.

    words: its last lines for people. serial: of the calibration it made. skipped: pictures that were not kept, by reason.
    """

    phase: Phase = "none"
    product: str = ""
    operator: str = ""
    stage: str = ""
    done: int = 0
    of: int = 0
    skipped: dict[str, int] | None = None
    words: tuple[str, ...] = ()
    serial: int | None = None
    began_ns: int = 0

    def to_record(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


class CalibrateJob:
    """``ended`` is called by the job's thread with the last state."""

    def __init__(self, clock: Clock, ended: Callable[[JobState], None]) -> None:
        self._clock, self._ended = clock, ended
        self._lock = threading.Lock()
        self._state = JobState()
        self._process: subprocess.Popen[str] | None = None
        self._stopping = False

    @property
    def state(self) -> JobState:
        """Now."""
        return self._state

    def start(self, arguments: Sequence[str], product: str, operator: str) -> None:
        """Run ``calibrate arguments``; raises ConfigError where one is running, OutputError where it cannot be started."""
        with self._lock:
            if self._state.phase == "running":
                raise ConfigError("a calibration is running already; wait for it, or stop it")
            command = [sys.executable, "-m", "calibration.cli", "--progress", "json", "--operator", operator, *arguments]
            try:
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
                    errors="replace", start_new_session=True, env=os.environ | {"COLUMNS": "160", "NO_COLOR": "1"},
                )  # fmt: skip
            except OSError as error:
                raise OutputError(f"calibrate cannot be started: {error.strerror}; install edge-inspect anew") from error
            self._process, self._stopping = process, False
            self._state = JobState("running", product, operator, began_ns=self._clock.wall_ns())
        threading.Thread(target=self._follow, args=(process,), name="calibrate", daemon=True).start()

    def stop(self) -> bool:
        """As Ctrl-C does; nothing half-written is left. False where none runs. One that does not end is killed."""
        with self._lock:
            process = self._process
            if process is None or self._state.phase != "running":
                return False
            self._stopping = True
        _signal(process, signal.SIGINT)
        killer = threading.Timer(STOP_S, _signal, (process, signal.SIGKILL))
        killer.daemon = True
        killer.start()
        return True

    def close(self) -> None:
        """Stop it and wait for its end; may be called twice."""
        process = self._process
        if process is None or not self.stop():
            return
        try:
            process.wait(STOP_S / 2)
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGKILL)
            process.wait()

    def _follow(self, process: subprocess.Popen[str]) -> None:
        words: deque[str] = deque(maxlen=MOST_LINES)
        assert process.stdout is not None
        assert process.stderr is not None
        reading = threading.Thread(target=self._listen, args=(process.stderr, words), daemon=True)
        reading.start()
        with process.stdout:
            while line := process.stdout.readline(LONGEST_LINE):
                self._take(line)
        process.wait()
        reading.join(STOP_S)
        with self._lock:
            made = self._state.serial is not None and process.returncode == 0
            phase: Phase = "done" if made else "stopped" if self._stopping else "failed"
            said = tuple(words) or (f"calibrate ended with exit code {process.returncode}",)
            self._state = replace(self._state, phase=phase, words=said)
            last = self._state
        self._ended(last)

    def _listen(self, stream: Any, words: deque[str]) -> None:
        with stream:
            while line := stream.readline(LONGEST_LINE):
                if line.strip():
                    words.append(line.rstrip())
                    with self._lock:
                        self._state = replace(self._state, words=tuple(words))

    def _take(self, line: str) -> None:
        try:
            told = json.loads(line)
            if "calibration" in told:
                change: dict[str, Any] = {"serial": int(told["calibration"])}
            else:
                change = {
                    "stage": str(told["stage"]), "done": int(told["done"]), "of": int(told["of"]), "skipped": told.get("skipped"),
                }  # fmt: skip
        except (ValueError, KeyError, TypeError):  # what is no progress of ours
            return
        with self._lock:
            self._state = replace(self._state, **change)


def _signal(process: subprocess.Popen[str], number: int) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
