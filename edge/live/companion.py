"""A process beside the inspection, which may fail, hang or be slow without any part waiting for it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from edge.clock import Clock
from edge.supervision.backoff import Backoff

FIRST_MS, LONGEST_MS, STEADY_MS = 1000, 60_000, 60_000
LASTS_NS = 10_000_000_000
"""One that ran for so long after it was started again is all right."""
CLOSE_S = 5.0
NICENESS = 10
FIRST_TO_GO = 500
"""Where memory is short the kernel ends this one, and not the inspection, from which it would inherit that it is spared."""
PR_SET_PDEATHSIG = 1
PARENT = "EDGE_INSPECT_PARENT"
LISTEN_S = 0.2
MOST_SAID = 65_536
"""Bytes that are read of it at a time; one that says more waits."""
MOST_WEAKNESSES, LONGEST = 32, 500
_WEAKNESSES = TypeAdapter(dict[str, str])


class Companion:
    """Runs ``python -m module arguments`` until closed, and again, after a while, when it ends. It never outlives this process.

    What it finds wrong beside itself it says by ``tell_weaknesses``: its stdout is read, and nothing else of it is believed.
    name: for people. tell: gets one line when it ended by itself, and one when it lasts again; must not wait. environment: more
    than ours; other users cannot read it, as they can the arguments.
    """

    def __init__(
        self,
        name: str,
        module: str,
        arguments: Sequence[str],
        tell: Callable[[str], None],
        clock: Clock,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self._tell, self._clock, self._environment = name, tell, clock, dict(environment or {})
        self._command = [sys.executable, "-m", module, *arguments]
        self._stop = threading.Event()
        self.failure = ""
        """Why it does not run now; empty while it does."""
        self._weaknesses: dict[str, str] = {}
        self._heard = b""
        self._thread = threading.Thread(target=self._keep, name=name, daemon=True)

    def start(self) -> None:
        """From now on it runs."""
        self._thread.start()

    def close(self) -> None:
        """End it; may be called twice. One that does not end in five seconds is killed."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S + 1)

    def weaknesses(self) -> dict[str, str]:
        """Name → why it, or something it looks after, is not as it should be now, or empty."""
        return {self.name: self.failure} | {f"{self.name} {what}": reason for what, reason in self._weaknesses.items()}

    def _keep(self) -> None:
        # The kernel ends the child with the thread that made it, so this thread stays as long as the child.
        backoff = Backoff(FIRST_MS, LONGEST_MS, STEADY_MS)
        while not self._stop.is_set():
            ended = self._run(backoff)
            if self._stop.is_set():
                return
            wait_ns = backoff.failed(self._clock.monotonic_ns())
            self.failure = f"{ended}; it is started again in {wait_ns / 1e9:.0f} s; its own words are above, or in the journal"
            self._tell(f"{self.name}: {self.failure}")
            self._clock.wait(self._stop, wait_ns)

    def _run(self, backoff: Backoff) -> str:
        try:
            process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True,
                env=os.environ | self._environment | {PARENT: str(os.getpid())},
            )  # fmt: skip
        except OSError as error:
            return f"cannot be started: {error.strerror}"
        assert process.stdout is not None
        with process.stdout:
            os.set_blocking(process.stdout.fileno(), False)
            try:
                return self._accompanied(process, process.stdout.fileno(), backoff)
            finally:  # what it said is no longer known; that it does not run is
                self._weaknesses = dict.fromkeys(self._weaknesses, "")
                self._heard = b""

    def _accompanied(self, process: subprocess.Popen[bytes], said: int, backoff: Backoff) -> str:
        began_ns = self._clock.monotonic_ns()
        backoff.opened(began_ns)
        while not self._stop.wait(LISTEN_S):
            self._listen(said)
            if process.poll() is not None:
                return f"ended with exit code {process.returncode}"
            if self.failure and self._clock.monotonic_ns() - began_ns > LASTS_NS:
                self.failure = ""
                self._tell(f"{self.name}: runs again")
        process.terminate()
        try:
            process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return ""

    def _listen(self, said: int) -> None:
        with suppress(BlockingIOError):
            self._heard += os.read(said, MOST_SAID)
        *lines, rest = self._heard.split(b"\n")
        self._heard = rest[:MOST_SAID]
        for line in reversed(lines):
            with suppress(ValidationError):
                told = list(_WEAKNESSES.validate_json(line).items())[:MOST_WEAKNESSES]
                now = {what[:LONGEST]: " ".join(reason[:LONGEST].split()) for what, reason in told}
                self._weaknesses = dict.fromkeys(self._weaknesses, "") | now
                return  # it said all that is weak; what it said before is over


def tell_weaknesses(weaknesses: Mapping[str, str]) -> None:
    """For the companion's own process: all that is not as it should be now, by name; the inspection hears of it within a second."""
    with suppress(BrokenPipeError):  # the inspection is gone, and this process will be in a moment
        sys.stdout.write(_WEAKNESSES.dump_json(dict(weaknesses)).decode() + "\n")
        sys.stdout.flush()


def accompany() -> None:
    """For the companion's own process, first of all: make way for the inspection, and end with it. Nothing where it runs alone."""
    parent = os.environ.get(PARENT)
    if parent is None:
        return
    with suppress(OSError):
        os.nice(NICENESS)
        Path("/proc/self/oom_score_adj").write_text(f"{FIRST_TO_GO}", encoding="ascii")
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):  # it ended before that was said
        os.kill(os.getpid(), signal.SIGTERM)
