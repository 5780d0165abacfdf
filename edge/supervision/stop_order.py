"""That the line must stand, kept on disk: a program that dies afterwards and is started anew by systemd lets nothing run again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from edge.errors import OutputError
from edge.storage.durable_files import write_file

NOT_KEPT = "the order to stop the line would not outlast this run"


class StopOrder:
    """The file ``path`` stands from the order until an orderly end, which somebody asked for; it holds the reason, for people.

    failed: gets one line where the order cannot be kept. What is there but cannot be read is an order all the same.
    """

    def __init__(self, path: Path, failed: Callable[[str], None]) -> None:
        self._path, self._failed = path, failed
        self._writer: threading.Thread | None = None

    def standing(self) -> str:
        """Why a run before this one stopped the line and did not end as it should; empty where none did."""
        try:
            reason = self._path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""
        except (OSError, ValueError):
            reason = ""
        return f"{reason or 'the line was stopped'} ({self._path}, of a run that came to no orderly end)"

    def give(self, reason: str) -> None:
        """Keep the first order; never waits for the disk, since whoever gives it may be the thread that drives the reject line."""
        if self._writer is not None:
            return
        writer = threading.Thread(target=self._write, args=(reason,), name="stop order")
        try:
            writer.start()
        except RuntimeError as error:  # the machine has no thread left: the line must be stopped and driven all the same
            self._failed(f"{NOT_KEPT}: {error}")
        else:
            self._writer = writer

    def lift(self) -> None:
        """An orderly end: who starts the program anew has been here. Raises OutputError where the file cannot be removed."""
        if self._writer is not None:
            self._writer.join()
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot remove {self._path}: {error.strerror}; the line stands until it is gone") from error

    def _write(self, reason: str) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_file(self._path, reason.encode() + b"\n")
        except (OutputError, OSError) as error:
            self._failed(f"{NOT_KEPT}: {error}")
