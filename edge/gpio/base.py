"""The contract of an output line: direction and safe value set in one call, the safe value again when it is given back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType

from edge.errors import LineError


class OutputLine(ABC):
    """A line with a logical value; which level means True is the backend's matter.

    A backend requests the line in its constructor with direction output and the value ``safe`` together, so that there is no
    blip, and implements ``_set_impl`` and ``_close_impl``. One thread uses a line at a time.
    """

    def __init__(self, name: str, safe: bool) -> None:
        self.name = name
        self.safe = safe
        self._value = safe
        self._closed = False

    @property
    def value(self) -> bool:
        """The value last set."""
        return self._value

    def set(self, value: bool) -> None:
        """Drive the line; raises LineError when it can no longer be driven."""
        if self._closed:
            raise LineError(f"{self.name}: is closed; open it again")
        self._set_impl(value)
        self._value = value

    def close(self) -> None:
        """Drive the safe value and give the line back; may be called twice. Raises LineError if that failed."""
        if self._closed:
            return
        self._closed = True
        try:
            self._set_impl(self.safe)
            self._value = self.safe
        finally:
            self._close_impl()

    def __enter__(self) -> OutputLine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @abstractmethod
    def _set_impl(self, value: bool) -> None: ...

    @abstractmethod
    def _close_impl(self) -> None: ...
