"""SIGINT and SIGTERM as an event. The handler itself does nothing: one that sets an event can meet the event's own lock and hang.

The interpreter writes the signal's number into a pipe, whichever thread the kernel picked, and a thread of ours reads it.
"""

from __future__ import annotations

import os
import signal
import threading
from types import TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
END = b"\x00"


class StopSignals:
    """While entered, either signal sets ``stop`` and does nothing else. For the main thread."""

    def __init__(self) -> None:
        self.stop = threading.Event()

    def __enter__(self) -> StopSignals:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._thread = threading.Thread(target=self._wait, name="signals", daemon=True)
        self._thread.start()
        self._wakeup_before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._handlers_before = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        os.write(self._write, END)
        self._thread.join()
        os.close(self._read)
        os.close(self._write)

    def _wait(self) -> None:
        while (number := os.read(self._read, 1)) != END:
            if number[0] in SIGNALS:
                self.stop.set()
