"""What a check of edge-doctor says: what was looked at, how it is, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

from edge.errors import EdgeInspectError


class Status(Enum):
    """FAILED: parts cannot be judged, or not safely. WARNING: they can, and something is not as it should be."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """remedy: empty where there is nothing to do."""

    check: str
    status: Status
    found: str
    remedy: str = ""

    @classmethod
    def of_error(cls, check: str, error: Exception, status: Status = Status.FAILED) -> Finding:
        """An error as its message has it: what was wrong; what to do."""
        words = " ".join(str(error).split()) or type(error).__name__
        found, separator, remedy = words.rpartition("; ")
        return cls(check, status, found, remedy) if separator else cls(check, status, words)


class Findings:
    """All of them, in the order they were made."""

    def __init__(self) -> None:
        self.all: list[Finding] = []

    def ok(self, check: str, found: str) -> None:
        """Nothing to do."""
        self.all.append(Finding(check, Status.OK, found))

    def warning(self, check: str, found: str, remedy: str) -> None:
        """Works, and should be seen to."""
        self.all.append(Finding(check, Status.WARNING, found, remedy))

    def failed(self, check: str, found: str, remedy: str) -> None:
        """Does not work."""
        self.all.append(Finding(check, Status.FAILED, found, remedy))

    @contextmanager
    def of(self, check: str) -> Iterator[None]:
        """Whatever goes wrong within is a finding, and the next check is made."""
        try:
            yield
        except (EdgeInspectError, OSError) as error:
            self.all.append(Finding.of_error(check, error))
        except Exception as error:  # a check that breaks is told, and hides no other
            self.all.append(Finding(check, Status.FAILED, f"the check itself failed: {type(error).__name__}: {error}", "report it"))

    def run(self, check: str, look: Callable[[], None]) -> None:
        """``of``, around one function."""
        with self.of(check):
            look()

    @property
    def bad(self) -> bool:
        """True if any failed."""
        return any(one.status is Status.FAILED for one in self.all)
