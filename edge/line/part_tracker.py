"""From a trigger to one verdict and one action at the reject arm. Pure logic over times that are handed in, all in nanoseconds.

A trigger makes a part. Its verdict is due by the deadline; without one it is a FAULT. Its action is a window in time, from
``delay`` after the trigger (or from where the encoder has come ``delay_counts`` further) and as long as the pulse: the line says
reject throughout the window of a part that is not a PASS. Between windows it says what ``idle_rejects`` tells.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from edge.verdict import Outcome


class Refusal(Enum):
    """Why a trigger made no part of its own. None of them lets a part through: see ``PartTracker.trigger``."""

    DOUBLE = "the sensor bounced"
    FULL = "too many parts in flight"
    BACKWARDS = "its time lies before the last trigger's"


class Action(Enum):
    """What the line said of a part while the part was at the arm."""

    PASSED = "passed"
    REJECTED = "rejected"
    LATE = "late"
    """The line said pass for a while although the part was not a PASS: it may have gone on. Stop the line."""
    UNKNOWN = "unknown"
    """A good part for which the line changed in the window, or one that never came there, or the program ended before."""


@dataclass(frozen=True, slots=True)
class PartTiming:
    """Of one station, nanoseconds.

    deadline: from the trigger to the verdict. delay: from the trigger to the window; with ``delay_counts`` encoder counts
    instead, and then ``travel_limit`` is how long a part may take to come there. pulse: length of the window. debounce: a trigger
    this soon after the last one is the same part. spacing: parts closer than that cannot be told apart at the arm. tolerance: how
    late the line may change in a window. capacity: parts in flight.
    """

    deadline: int
    delay: int
    pulse: int
    debounce: int
    spacing: int
    tolerance: int
    delay_counts: int | None = None
    travel_limit: int = 60_000_000_000
    capacity: int = 64
    idle_rejects: bool = True

    def __post_init__(self) -> None:
        if self.delay_counts is None and self.deadline > self.delay:
            raise ValueError(
                f"the verdict must be there before the arm acts: deadline {_ms(self.deadline)}, reject delay {_ms(self.delay)}"
            )
        if self.pulse <= 2 * self.tolerance:
            raise ValueError(f"the pulse must be longer than twice the tolerance: {_ms(self.pulse)}, {_ms(self.tolerance)}")
        if self.spacing < self.pulse + self.tolerance:
            raise ValueError(
                f"parts this close cannot be told apart at the arm: spacing {_ms(self.spacing)}, pulse {_ms(self.pulse)} "
                f"and {_ms(self.tolerance)} of tolerance"
            )


@dataclass(slots=True)
class Part:
    """One part in flight. ``outcome`` is None until decided; ``begin_ns`` is None until the encoder has brought it to the arm."""

    part_id: int
    trigger_ns: int
    deadline_ns: int
    counts: int | None
    begin_ns: int | None
    end_ns: int | None
    outcome: Outcome | None = None
    reason: str = ""
    passed_ns: int = 0
    """How long the line said pass in its window."""

    def wants_reject(self) -> bool:
        """True unless it is known to be good."""
        return self.outcome is not Outcome.PASS

    def at_arm(self, now_ns: int) -> bool:
        """True in its window."""
        return self.begin_ns is not None and self.end_ns is not None and self.begin_ns <= now_ns < self.end_ns


@dataclass(frozen=True, slots=True)
class Finished:
    """A part that has left the arm."""

    part: Part
    action: Action


class PartTracker:
    """Parts in flight, first in first out. One thread at a time; ``now_ns`` never goes back.

    The line's owner asks ``rejecting``, drives the line, and tells ``driven`` what it says from when on; a part's action is
    judged by what the line said, not by what it was asked to say. ``gone`` gets each part that has left the arm, oldest first.
    """

    def __init__(self, timing: PartTiming, gone: Callable[[Finished], None], first_part_id: int = 0) -> None:
        self.timing, self._gone = timing, gone
        self._parts: deque[Part] = deque()
        self._next_id = first_part_id
        self._last_trigger_ns: int | None = None
        self._level = True
        self._level_ns = 0

    def __len__(self) -> int:
        """Parts in flight."""
        return len(self._parts)

    def in_flight(self) -> tuple[Part, ...]:
        """Those that have not left the arm, oldest first."""
        return tuple(self._parts)

    def trigger(self, at_ns: int, counts: int | None = None) -> Part | Refusal:
        """A part was seen at ``at_ns``, with the encoder at ``counts``.

        A bounce is no part. One that follows too closely is a part, and a FAULT at once, as the one before it becomes, too: the
        arm cannot take the one and leave the other. With the queue full every part in flight becomes a FAULT, since it is no longer
        known which of them lies where.
        """
        last = self._last_trigger_ns
        if last is not None and at_ns < last:
            self.fault_all("the trigger's clock went back")
            return Refusal.BACKWARDS
        if last is not None and at_ns - last < self.timing.debounce:
            return Refusal.DOUBLE
        self._last_trigger_ns = at_ns
        if len(self._parts) >= self.timing.capacity:
            self.fault_all("more parts were seen than can be in flight")
            return Refusal.FULL
        timing = self.timing
        begin = at_ns + timing.delay if timing.delay_counts is None else None
        part = Part(self._next_id, at_ns, at_ns + timing.deadline, counts, begin, None if begin is None else begin + timing.pulse)
        if last is not None and at_ns - last < timing.spacing:
            gap = _ms(at_ns - last)
            if self._parts:
                self._fault(self._parts[-1], f"the next part followed after {gap}, too close to be told apart at the arm")
            self._fault(part, f"it followed the last part after {gap}, too close to be told apart at the arm")
        self._next_id += 1
        self._parts.append(part)
        return part

    def encoder(self, counts: int, at_ns: int) -> None:
        """The encoder came to ``counts``: parts that it has brought to the arm begin their window."""
        if self.timing.delay_counts is None:
            return
        for part in self._parts:
            if part.begin_ns is None and part.counts is not None and counts - part.counts >= self.timing.delay_counts:
                part.begin_ns, part.end_ns = at_ns, at_ns + self.timing.pulse

    def decide(self, part_id: int, outcome: Outcome, now_ns: int, reason: str = "") -> tuple[Outcome, str]:
        """Take the verdict of a part; returns what counts, and its reason.

        A second verdict changes nothing. One after the deadline, or when the part is at the arm already, is a FAULT, as is that of
        a part that is no longer in flight.
        """
        for part in self._parts:
            if part.part_id == part_id:
                if part.outcome is None and self._too_late(part, now_ns):
                    self._fault(part, self._late(part, now_ns))
                elif part.outcome is None:
                    part.outcome, part.reason = outcome, reason
                assert part.outcome is not None
                return part.outcome, part.reason
        return Outcome.FAULT, "the part has left the arm already"

    def fault_all(self, reason: str) -> None:
        """Nothing is known any more of the parts in flight; all are FAULT."""
        for part in self._parts:
            self._fault(part, reason)

    def rejecting(self, now_ns: int) -> bool:
        """True while the line must say reject."""
        here = [part for part in self._parts if part.at_arm(now_ns)]
        if here:
            return any(part.wants_reject() for part in here)
        return self.timing.idle_rejects

    def driven(self, rejecting: bool, at_ns: int) -> None:
        """The line says ``rejecting`` from ``at_ns`` on. Call it whenever something is due, changed or not.

        It settles what has ended. A part without verdict at its deadline is a FAULT from then on.
        """
        for part in self._parts:
            self._account(part, at_ns)
            if part.outcome is None and self._too_late(part, at_ns):
                self._fault(part, self._late(part, at_ns))
        self._level, self._level_ns = rejecting, at_ns
        while self._parts and self._over(self._parts[0], at_ns):
            part = self._parts.popleft()
            self._gone(Finished(part, self._action(part)))

    def abandon(self) -> None:
        """The program ends: what becomes of the parts in flight is not known."""
        while self._parts:
            self._gone(Finished(self._parts.popleft(), Action.UNKNOWN))

    def next_change_ns(self, now_ns: int) -> int | None:
        """When something is due by itself: a window begins or ends, a deadline passes; None while there is nothing in flight."""
        times: list[int] = []
        for part in self._parts:
            if part.outcome is None:
                times.append(part.deadline_ns + 1)
            times.extend(time for time in (part.begin_ns, part.end_ns) if time is not None)
            if part.begin_ns is None:
                times.append(part.trigger_ns + self.timing.travel_limit)
        return min((time for time in times if time > now_ns), default=None)

    def _account(self, part: Part, until_ns: int) -> None:
        if not self._level and part.begin_ns is not None and part.end_ns is not None:
            part.passed_ns += max(0, min(until_ns, part.end_ns) - max(self._level_ns, part.begin_ns))

    def _over(self, part: Part, now_ns: int) -> bool:
        if part.end_ns is not None:
            return now_ns >= part.end_ns
        return now_ns >= part.trigger_ns + self.timing.travel_limit

    def _action(self, part: Part) -> Action:
        if part.begin_ns is None:
            self._fault(part, "the encoder did not bring it to the arm in time")
            return Action.UNKNOWN
        tolerance = self.timing.tolerance
        if part.passed_ns <= tolerance:
            return Action.REJECTED
        if part.wants_reject():
            return Action.LATE
        return Action.PASSED if part.passed_ns >= self.timing.pulse - tolerance else Action.UNKNOWN

    def _too_late(self, part: Part, now_ns: int) -> bool:
        return now_ns > part.deadline_ns or (part.begin_ns is not None and now_ns >= part.begin_ns)

    def _late(self, part: Part, now_ns: int) -> str:
        passed = (now_ns - part.trigger_ns) / 1e6
        return f"no verdict within {self.timing.deadline / 1e6:.0f} ms of the trigger, {passed:.0f} ms passed"

    def _fault(self, part: Part, reason: str) -> None:
        if part.outcome is not Outcome.FAULT:
            part.outcome, part.reason = Outcome.FAULT, reason


def _ms(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:g} ms"
