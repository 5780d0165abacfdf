"""Did the rejected part leave the line? Each reject pulse wants one edge of the confirm sensor in its time. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

CAPACITY = 256


class Confirm(Enum):
    """What became of a reject pulse, or of an edge."""

    CONFIRMED = "confirmed"
    NOT_CONFIRMED = "not confirmed"
    """The rejected part was not seen to leave: it may have gone on."""
    UNEXPECTED = "unexpected"
    """Something left that was not rejected: a good part, a second one, or a hand."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """part_id: None for an unexpected edge. at_ns: of the edge; where none came, when it was given up."""

    part_id: int | None
    confirm: Confirm
    at_ns: int


@dataclass(frozen=True, slots=True)
class _Expected:
    part_id: int
    from_ns: int
    to_ns: int


class RejectConfirm:
    """Pulses and edges come in the order of their times, in nanoseconds; from_ns, to_ns: after the begin of a pulse.

    An edge belongs to the oldest pulse that still waits for one then.
    """

    def __init__(self, from_ns: int, to_ns: int) -> None:
        if not 0 <= from_ns < to_ns:
            raise ValueError(f"expected 0 ≤ from < to, got {from_ns} and {to_ns}")
        self._from, self._to = from_ns, to_ns
        self._waiting: deque[_Expected] = deque()
        self._told: list[Confirmation] = []

    def pulse(self, part_id: int, begin_ns: int) -> None:
        """The arm takes a part out from ``begin_ns`` on."""
        if len(self._waiting) >= CAPACITY:
            self._give_up(begin_ns)
        self._waiting.append(_Expected(part_id, begin_ns + self._from, begin_ns + self._to))

    def edge(self, at_ns: int) -> None:
        """The sensor saw something. Edges that were lost confirm nothing."""
        self.expire(at_ns)
        if self._waiting and self._waiting[0].from_ns <= at_ns:
            self._told.append(Confirmation(self._waiting.popleft().part_id, Confirm.CONFIRMED, at_ns))
        else:
            self._told.append(Confirmation(None, Confirm.UNEXPECTED, at_ns))

    def expire(self, read_until_ns: int) -> None:
        """No edge before ``read_until_ns`` is still to come: pulses whose time has passed are not confirmed."""
        while self._waiting and self._waiting[0].to_ns < read_until_ns:
            self._give_up(read_until_ns)

    def results(self) -> list[Confirmation]:
        """What is known since the last call, oldest first."""
        told, self._told = self._told, []
        return told

    def next_change_ns(self) -> int | None:
        """When a pulse is given up by itself; None while none waits."""
        return self._waiting[0].to_ns + 1 if self._waiting else None

    def _give_up(self, at_ns: int) -> None:
        self._told.append(Confirmation(self._waiting.popleft().part_id, Confirm.NOT_CONFIRMED, at_ns))
