"""The contract of a trigger: when a part was seen, where the conveyor was, and what was lost on the way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TriggerEvent:
    """A part was seen.

    at_ns: when, monotonic nanoseconds. counts: where the encoder was then, None without one. missed: at most so many parts came
    before it without an event of their own; they get no verdict, and a line that rejects between parts takes them out.
    """

    at_ns: int
    counts: int | None = None
    missed: int = 0


class ConveyorListener(Protocol):
    """Is told where the conveyor is, from within ``Trigger.wait``; must be quick."""

    def moved(self, counts: int, at_ns: int) -> None:
        """The encoder came to ``counts``."""
        ...

    def lost(self, reason: str) -> None:
        """Counts were lost: where the parts in flight are is no longer known, and none of them may pass."""
        ...


class Trigger(ABC):
    """Used by one thread. A backend implements ``wait`` and ``close``; it is open when its constructor returns."""

    name: str

    @abstractmethod
    def wait(self, timeout_s: float) -> list[TriggerEvent]:
        """Parts seen since the last call, oldest first; [] when ``timeout_s`` have passed. Raises LineError: trust it no more."""

    @abstractmethod
    def close(self) -> None:
        """Give back what it holds; may be called twice."""

    def __enter__(self) -> Trigger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
