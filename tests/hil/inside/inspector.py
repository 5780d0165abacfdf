"""edge-inspect as a process of its own, as at a line: started with a station file, heard, stopped, killed, and its records read."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml

Record = dict[str, Any]


class Inspector:
    """Runs from the start, on the bundle in ``folder`` and with its state there."""

    def __init__(self, folder: Path, station: dict[str, Any], *options: str) -> None:
        self.folder = folder
        file = folder / "station.yaml"
        file.write_text(yaml.safe_dump(station))
        command = [sys.executable, "-m", "edge.cli", "--bundle", str(folder / "bundle"), "--station", str(file), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.verdicts: list[Record] = []
        self.words: list[str] = []
        self._threads = [
            threading.Thread(target=self._read_verdicts, daemon=True), threading.Thread(target=self._read_words, daemon=True)
        ]  # fmt: skip
        for thread in self._threads:
            thread.start()

    def until(self, what: str, true, timeout_s: float = 30.0) -> None:  # type: ignore[no-untyped-def]
        """Wait until ``true()``; raises TimeoutError with what was said so far."""
        until = time.monotonic() + timeout_s
        while not true():
            if self.process.poll() is not None:
                self._join()
                if true():
                    return
                raise ChildProcessError(f"ended with {self.process.returncode} before {what}: {self.said()}")
            if time.monotonic() > until:
                raise TimeoutError(f"no {what} within {timeout_s} s; {len(self.verdicts)} verdicts; said: {self.said()}")
            time.sleep(0.005)

    def until_said(self, words: str, timeout_s: float = 30.0) -> None:
        """Wait until a line for people has ``words`` in it."""
        self.until(f"{words!r}", lambda: words in self.said(), timeout_s)

    def until_judged(self, parts: int, timeout_s: float = 30.0) -> None:
        """Wait for so many verdicts altogether."""
        self.until(f"{parts} verdicts", lambda: len(self.verdicts) >= parts, timeout_s)

    def said(self) -> str:
        """All lines for people."""
        return "\n".join(self.words)

    def stop(self, timeout_s: float = 20.0) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(timeout_s)

    def wait(self, timeout_s: float = 20.0) -> int:
        """The exit code, when it ends by itself."""
        code = self.process.wait(timeout_s)
        self._join()
        return code

    def kill(self) -> int:
        """SIGKILL; the monotonic time, nanoseconds."""
        at_ns = time.monotonic_ns()
        self.process.kill()
        self.process.wait()
        self._join()
        return at_ns

    def pause(self) -> int:
        """SIGSTOP; the monotonic time, nanoseconds."""
        at_ns = time.monotonic_ns()
        os.kill(self.process.pid, signal.SIGSTOP)
        return at_ns

    def go_on(self) -> None:
        """SIGCONT."""
        os.kill(self.process.pid, signal.SIGCONT)

    def close(self) -> None:
        """Ended for certain."""
        if self.process.poll() is None:
            self.go_on()
            self.kill()

    def records(self) -> dict[int, Record]:
        """By part, as the database has them."""
        return records(self.folder)

    def _read_verdicts(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            record = json.loads(line)
            if "event" not in record:
                self.verdicts.append(record)

    def _read_words(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.words.append(line.rstrip())

    def _join(self) -> None:
        for thread in self._threads:
            thread.join(5)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


def records(folder: Path) -> dict[int, Record]:
    """The part records under ``folder``, by part."""
    with closing(sqlite3.connect(f"file:{folder}/records/parts.sqlite?mode=ro", uri=True, timeout=5)) as connection:
        connection.row_factory = sqlite3.Row
        return {row["part_id"]: dict(row) for row in connection.execute("SELECT * FROM parts ORDER BY part_id")}
