"""That the line must stand, kept on disk until somebody releases it: a start anew, by whomever, lets nothing run again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from edge.errors import OutputError
from edge.storage.durable_files import write_file

FILE, RELEASED = "line-stop.txt", "line-released.txt"
UNKNOWN = "the line was stopped"
NOT_KEPT = "the order to stop the line would not outlast this run, which alone can end it"


class StopOrder:
    """``FILE`` in ``state`` stands from the order until its release and holds the first reason; then its name is ``RELEASED``.

    failed: gets one line where the order cannot be kept. What is there but cannot be read is an order all the same.
    """

    def __init__(self, state: Path, failed: Callable[[str], None]) -> None:
        self._path, self._released, self._failed = state / FILE, state / RELEASED, failed
        self._lock, self._disk = threading.Lock(), threading.Lock()
        self._coming = 0
        self._kept = False

    def standing(self) -> str:
        """Why the line must stand; empty where it need not. Looks at the disk."""
        try:
            reason = self._path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""
        except (OSError, ValueError):
            reason = ""
        self._kept = True
        return reason or UNKNOWN

    def give(self, reason: str) -> None:
        """Keep the order; never waits for the disk, since whoever gives it may be the thread that drives the reject line."""
        with self._lock:
            self._coming += 1
        try:
            threading.Thread(target=self._write, args=(reason,), name="stop order").start()
        except RuntimeError as error:  # the machine has no thread left: the line must be stopped and driven all the same
            self._written(f"{NOT_KEPT}: {error}")

    def released(self) -> bool:
        """True once somebody has released what stood; a file that is merely gone says nothing. Looks at the disk."""
        with self._lock:
            known = self._kept and not self._coming
        return known and self._released.is_file() and not self._path.exists()

    def release(self) -> None:
        """Whoever calls this has looked for the part, and has written down who. Raises OutputError: it stands on."""
        try:
            self._path.replace(self._released)
        except OSError as error:
            raise OutputError(f"cannot release {self._path}: {error.strerror}; the line stands on") from error

    def _write(self, reason: str) -> None:
        problem = ""
        try:
            with self._disk:
                if not self._path.exists():
                    self._path.parent.mkdir(parents=True, exist_ok=True)
                    self._released.unlink(missing_ok=True)
                    write_file(self._path, reason.encode() + b"\n")
        except (OutputError, OSError) as error:
            problem = f"{NOT_KEPT}: {error}"
        self._written(problem)

    def _written(self, problem: str) -> None:
        with self._lock:
            self._coming -= 1
            self._kept = not problem
        if problem:
            self._failed(problem)
