"""A process beside the inspection, which may fail, hang or be slow without any part waiting for it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from edge.clock import Clock
from edge.supervision.backoff import Backoff

FIRST_MS, LONGEST_MS, STEADY_MS = 1000, 60_000, 60_000
LASTS_NS = 10_000_000_000
"""One that ran for so long after it was started again is all right."""
CLOSE_S = 5.0
NICENESS = 10
PR_SET_PDEATHSIG = 1
PARENT = "EDGE_INSPECT_PARENT"


class Companion:
    """Runs ``python -m module arguments`` until closed, and again, after a while, when it ends. It never outlives this process.

    name: for people. tell: gets one line when it ended by itself, and one when it lasts again; must not wait.
    """

    def __init__(self, name: str, module: str, arguments: Sequence[str], tell: Callable[[str], None], clock: Clock) -> None:
        self.name, self._tell, self._clock = name, tell, clock
        self._command = [sys.executable, "-m", module, *arguments]
        self._stop = threading.Event()
        self.failure = ""
        """Why it does not run now; empty while it does."""
        self._thread = threading.Thread(target=self._keep, name=name, daemon=True)

    def start(self) -> None:
        """From now on it runs."""
        self._thread.start()

    def close(self) -> None:
        """End it; may be called twice. One that does not end in five seconds is killed."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S + 1)

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
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
                env=os.environ | {PARENT: str(os.getpid())},
            )  # fmt: skip
        except OSError as error:
            return f"cannot be started: {error.strerror}"
        began_ns = self._clock.monotonic_ns()
        backoff.opened(began_ns)
        while not self._stop.wait(0.2):
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


def accompany() -> None:
    """For the companion's own process, first of all: make way for the inspection, and end with it. Nothing where it runs alone."""
    parent = os.environ.get(PARENT)
    if parent is None:
        return
    with suppress(OSError):
        os.nice(NICENESS)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):  # it ended before that was said
        os.kill(os.getpid(), signal.SIGTERM)
