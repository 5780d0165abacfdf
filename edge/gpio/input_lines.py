"""The contract of input lines: edges with the kernel's own time, and how many of them were lost."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

from edge.errors import LineError


@dataclass(frozen=True, slots=True)
class Edge:
    """A change of one line's logical value.

    line: its name. at_ns: when it began, monotonic nanoseconds. rising: true from then on. missed: edges of this line that came
    before this one and were dropped, since nobody read them in time.
    """

    line: str
    at_ns: int
    rising: bool
    missed: int = 0


class InputLines(ABC):
    """One or more inputs by name, read by one thread. A backend implements ``_wait_impl``, ``_levels_impl`` and ``_close_impl``.

    It is open when its constructor returns, or raised LineOpenError.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self._closed = False

    def wait(self, timeout_s: float) -> list[Edge]:
        """Edges since the last call, oldest first; waits for one until ``timeout_s`` have passed, then []. Raises LineError."""
        self._require_open()
        return self._wait_impl(max(0.0, timeout_s))

    def levels(self) -> Mapping[str, bool]:
        """The logical value of each line now; raises LineError."""
        self._require_open()
        return self._levels_impl()

    def close(self) -> None:
        """Give the lines back; may be called twice."""
        if not self._closed:
            self._closed = True
            self._close_impl()

    def _require_open(self) -> None:
        if self._closed:
            raise LineError(f"{', '.join(self.names)}: is closed; open it again")

    def __enter__(self) -> InputLines:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @abstractmethod
    def _wait_impl(self, timeout_s: float) -> list[Edge]: ...

    @abstractmethod
    def _levels_impl(self) -> Mapping[str, bool]: ...

    @abstractmethod
    def _close_impl(self) -> None: ...
