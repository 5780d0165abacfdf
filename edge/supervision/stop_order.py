"""That the line must stand, kept on disk until somebody releases it: a start anew, by whomever, lets nothing run again."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable
from pathlib import Path

from edge.errors import InputError, OutputError
from edge.storage.durable_files import write_file

FILE, RELEASED = "line-stop.txt", "line-released.txt"
UNKNOWN = "the line was stopped"
NOT_KEPT = "the order to stop the line is not on the disk yet, and until it is no release ends it"
BETWEEN, MOST, MORE = "; ", 600, "and more, see edge-inspect records"
"""Characters of all reasons: a person, and the page's form, take no more."""


def with_more(reasons: str, more: str) -> str:
    """``reasons`` with those of ``more`` that are not yet among them: each may be a part of its own, to be looked for."""
    for reason in more.split(BETWEEN) if more else []:
        if not reasons:
            reasons = reason
        elif reason not in (known := reasons.split(BETWEEN)) and MORE not in known:
            reasons += BETWEEN + (reason if len(reasons) + len(reason) < MOST else MORE)
    return reasons


class StopOrder:
    """``FILE`` in ``state`` stands from the order until its release and holds each reason once; then its name is ``RELEASED``.

    failed: gets one line where the order cannot be kept, and each time that line is another. What is there but cannot be read is
    an order all the same.
    """

    def __init__(self, state: Path, failed: Callable[[str], None]) -> None:
        self._path, self._released, self._failed = state / FILE, state / RELEASED, failed
        self._lock, self._disk = threading.Lock(), threading.Lock()
        self._unkept = self._kept = self._problem = ""

    @property
    def remedy(self) -> str:
        """How a person releases it, to be copied: where this run keeps it, nobody else need know."""
        return f"edge-inspect release --state {shlex.quote(str(self._path.parent.absolute()))} --operator NAME"

    def standing(self) -> str:
        """Why the line must stand; empty where it need not. Looks at the disk."""
        try:
            with open(self._path, encoding="utf-8") as file:
                reason = " ".join(file.read(2 * MOST).split())  # one line, whoever wrote into it
        except FileNotFoundError:
            return ""
        except (OSError, ValueError):
            reason = ""
        self._kept = reason or UNKNOWN
        return self._kept

    def give(self, reason: str) -> None:
        """Keep the order; never waits for the disk, since whoever gives it may be the thread that drives the reject line."""
        with self._lock:
            coming, self._unkept = self._unkept, with_more(self._unkept, reason)
        if not coming:  # else a thread is at it, or ``released`` begins another
            self._begin()

    def released(self) -> bool:
        """True once somebody has released what stood; a file that is merely gone says nothing.

        Looks at the disk. What that did not take before is tried again, and what vanished from it is kept anew.
        """
        with self._lock:
            unkept = self._unkept
        if unkept and not self._disk.locked():
            self._begin()
        if unkept or not self._kept or self._path.exists():
            return False
        if not self._released.is_file():
            self.give(self._kept)
            return False
        return True

    def release(self, reason: str) -> None:
        """Whoever calls this has looked for the parts of ``reason``, all that stood, and has written down who.

        Raises InputError where another one may have gone on meanwhile, and OutputError: it stands on.
        """
        if self.standing() != reason:
            raise InputError("the line was released or stopped for another reason meanwhile; look again before you release it")
        try:
            self._path.replace(self._released)
        except OSError as error:
            raise OutputError(f"cannot release {self._path}: {error.strerror}; the line stands on") from error

    def _begin(self) -> None:
        try:
            threading.Thread(target=self._keep, name="stop order").start()
        except RuntimeError as error:  # the machine has no thread left: the line must be stopped and driven all the same
            self._told(f"{NOT_KEPT}: {error}")

    def _keep(self) -> None:
        with self._disk:
            while reasons := self._unkept:
                try:
                    self._path.parent.mkdir(parents=True, exist_ok=True)
                    kept = self.standing()
                    if (content := with_more(kept, reasons)) != kept:
                        self._released.unlink(missing_ok=True)
                        write_file(self._path, content.encode() + b"\n")
                except (OutputError, OSError) as error:
                    self._told(f"{NOT_KEPT}: {error}")
                    return
                self._kept, self._problem = content, ""
                with self._lock:
                    if self._unkept == reasons:
                        self._unkept = ""

    def _told(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self._failed(problem)
