"""What becomes of a part at the line: with triggers or without, behind one interface. Any thread may call it."""

from __future__ import annotations

from typing import Protocol

from edge.line.part_tracker import Part, PartTracker, Refusal
from edge.line.reject_gate import RejectGate
from edge.line.reject_line import RejectLine
from edge.verdict import Outcome


class PartLine(Protocol):
    """Takes verdicts, gives what counts."""

    def decide(self, part_id: int, outcome: Outcome, reason: str, seen_ns: int) -> tuple[Outcome, str]:
        """Take the verdict of a part that was seen at ``seen_ns``; the one that counts, and its reason.

        Raises LineError when the line can no longer be trusted.
        """
        ...

    def fault_all(self, reason: str) -> None:
        """Whatever is on its way is not known to be good. Raises LineError."""
        ...

    def close(self) -> None:
        """Stop, with the line at reject. Raises LineError where that failed."""
        ...


class FreeLine:
    """Without triggers: the newest verdict rules, and a PASS wears off (RejectGate)."""

    def __init__(self, gate: RejectGate, line: RejectLine) -> None:
        self._gate, self._line = gate, line

    def decide(self, part_id: int, outcome: Outcome, reason: str, seen_ns: int) -> tuple[Outcome, str]:  # noqa: ARG002
        self._line.change(lambda now: self._gate.apply(outcome, now, seen_ns))
        return outcome, reason

    def fault_all(self, reason: str) -> None:  # noqa: ARG002
        self._line.change(lambda now: self._gate.apply(Outcome.FAULT, now, now))

    def close(self) -> None:
        self._line.close()


class TrackedLine:
    """With triggers: each part is passed or rejected when it is at the arm (PartTracker)."""

    def __init__(self, tracker: PartTracker, line: RejectLine) -> None:
        self._tracker, self._line = tracker, line

    def trigger(self, at_ns: int, counts: int | None = None) -> Part | Refusal:
        """A part was seen. Raises LineError."""
        return self._line.change(lambda _: self._tracker.trigger(at_ns, counts))

    def encoder(self, counts: int, at_ns: int) -> None:
        """The conveyor came to ``counts``. Raises LineError."""
        self._line.change(lambda _: self._tracker.encoder(counts, at_ns))

    def decide(self, part_id: int, outcome: Outcome, reason: str, seen_ns: int) -> tuple[Outcome, str]:  # noqa: ARG002
        return self._line.change(lambda now: self._tracker.decide(part_id, outcome, now, reason))

    def fault_all(self, reason: str) -> None:
        self._line.change(lambda _: self._tracker.fault_all(reason))

    def close(self) -> None:
        self._line.close()
        self._tracker.abandon()
