"""SIGINT and SIGTERM as an event. A thread waits for them, since a handler that sets an event can meet its own lock and hang."""

from __future__ import annotations

import signal
import threading
from types import TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
POLL_S = 0.2


class StopSignals:
    """While entered, either signal sets ``stop`` and does nothing else. Enter it before any other thread starts."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._wait, name="signals", daemon=True)

    def __enter__(self) -> StopSignals:
        self._before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)

    def _wait(self) -> None:
        while not self._done.is_set():
            if signal.sigtimedwait(SIGNALS, POLL_S) is not None:
                self.stop.set()
