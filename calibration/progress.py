"""How far a calibration is: bars for people, or a line of JSON for the program that started it."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from edge.capture.capture_session import CaptureSession

EVERY_S = 0.2
"""Lines of one stage follow each other no faster, but for its last."""


class Progress(Protocol):
    """Told of each step of each stage."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """``done`` of ``total`` steps of the stage ``what`` are done."""
        ...

    def steps(self, what: str, total: int) -> Callable[[], None]:
        """To be called once for each of ``total``."""
        ...


class Bars:
    """One bar for each stage of a calibration, made when the stage first reports; shown while entered."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bars = RichProgress(*columns, console=console, transient=True)
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        """As Progress."""
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what)
        self._bars.update(self._tasks[what], completed=done, total=total)

    def steps(self, what: str, total: int) -> Callable[[], None]:
        """As Progress."""
        return _steps(self, what, total)

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()


class JsonLines:
    """``{"stage": …, "done": …, "of": …}`` on stdout; at the end ``{"calibration": serial, "active": …}``. Ends with its reader."""

    def __init__(self) -> None:
        self._told: tuple[str, float] = ("", 0.0)

    def __call__(self, what: str, done: int, total: int) -> None:
        """As Progress."""
        self._tell(what, done, total)

    def steps(self, what: str, total: int) -> Callable[[], None]:
        """As Progress."""
        return _steps(self, what, total)

    def captured(self, session: CaptureSession, frames: int) -> None:
        """The fate of one picture of a capture of ``frames``."""
        self._tell("capture", session.kept, frames, {one.value: count for one, count in session.skipped.most_common()})

    def made(self, serial: int, active: bool) -> None:
        """The end: a calibration is there."""
        print(json.dumps({"calibration": serial, "active": active}), flush=True)

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        sys.stdout.flush()

    def _tell(self, what: str, done: int, total: int, skipped: dict[str, int] | None = None) -> None:
        now = time.monotonic()
        if self._told[0] == what and done != total and now - self._told[1] < EVERY_S:
            return
        self._told = what, now
        line = {"stage": what, "done": done, "of": total}
        print(json.dumps(line if skipped is None else {**line, "skipped": skipped}), flush=True)


def _steps(progress: Progress, what: str, total: int) -> Callable[[], None]:
    done = itertools.count(1)
    return lambda: progress(what, next(done), total)
