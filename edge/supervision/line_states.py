"""The state of this process, for all its threads, and all that is wrong at the moment: one fault mended is not all mended."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass

from edge.clock import Clock
from edge.supervision.states import OUTPUTS, Event, Outputs, State, after


@dataclass(frozen=True, slots=True)
class Transition:
    """A line of the log between two verdicts. Times in nanoseconds; ``at_ns`` is monotonic."""

    before: State
    after: State
    event: Event
    reason: str
    at_ns: int
    wall_ns: int

    def to_json(self) -> str:
        """One line of JSON; ``event`` tells it from a verdict."""
        return json.dumps({"event": "state", **self.record()})

    def record(self) -> dict[str, str | int]:
        """Plain values."""
        return {
            "from": self.before.value,
            "to": self.after.value,
            "cause": self.event.value,
            "reason": self.reason,
            "at_ns": self.at_ns,
            "wall_ns": self.wall_ns,
        }


class LineStates:
    """One table for all threads. ``tell`` gets each change of state in order, under the lock: it sets outputs and must not block.

    What is wrong is kept by name (``camera``, ``disk``, …): a fault is over when the last one is cleared, and so is a weakness.
    Where ``tell`` raises, nothing is known of the outputs; the state is changed nevertheless, and the error goes to the caller.
    """

    def __init__(self, tell: Callable[[Transition], None], clock: Clock) -> None:
        self._tell, self._clock = tell, clock
        self._lock = threading.RLock()
        self._state = State.STARTING
        self._faults: dict[str, str] = {}
        self._weaknesses: dict[str, str] = {}

    @property
    def state(self) -> State:
        """The present one."""
        return self._state

    @property
    def outputs(self) -> Outputs:
        """What the present state drives."""
        return OUTPUTS[self._state]

    @property
    def faults(self) -> dict[str, str]:
        """Name → reason of all that makes parts unknown; a copy."""
        with self._lock:
            return dict(self._faults)

    @property
    def weaknesses(self) -> dict[str, str]:
        """Name → reason of all that is not as it should be; a copy."""
        with self._lock:
            return dict(self._weaknesses)

    def opened(self) -> None:
        """Everything is open: the self-test begins, unless something failed meanwhile or it was stopped."""
        with self._lock:
            if self._state is State.STARTING:
                self._event(Event.OPENED)

    def test_passed(self) -> bool:
        """The self-test is passed. False where that no longer counts, since something failed meanwhile or it was stopped."""
        with self._lock:
            if self._state is not State.SELF_TEST:
                return False
            self._event(Event.TEST_PASSED)
            if self._weaknesses:
                self._event(Event.WEAKENED, _joined(self._weaknesses))
            return True

    def test_due(self, reason: str) -> None:
        """Parts pass again only after another ``test_passed``."""
        self._event(Event.TEST_DUE, reason)

    def part(self) -> None:
        """A part was judged."""
        self._event(Event.PART)

    def fail(self, what: str, reason: str) -> None:
        """From now on no part can be known to be good, until ``what`` is cleared."""
        with self._lock:
            self._faults[what] = reason
            self._event(Event.FAILED, f"{what}: {reason}")

    def weaken(self, what: str, reason: str) -> None:
        """``what`` is not as it should be; parts are judged as before."""
        with self._lock:
            self._weaknesses[what] = reason
            if self._state in (State.READY, State.RUNNING):
                self._event(Event.WEAKENED, f"{what}: {reason}")

    def clear(self, what: str) -> None:
        """``what`` is right again, whether it failed or was weak. Nothing where it was neither."""
        with self._lock:
            failed, weak = self._faults.pop(what, None), self._weaknesses.pop(what, None)
            if failed is not None and not self._faults and self._state is State.FAULT:
                self._event(Event.REPAIRED, what)
            elif weak is not None and not self._weaknesses and self._state is State.DEGRADED:
                self._event(Event.RECOVERED, what)

    def stop(self) -> None:
        """The end."""
        self._event(Event.STOP)

    def _event(self, event: Event, reason: str = "") -> None:
        with self._lock:
            before, self._state = self._state, after(self._state, event)
            if self._state is not before:
                self._tell(Transition(before, self._state, event, reason, self._clock.monotonic_ns(), self._clock.wall_ns()))


def _joined(reasons: dict[str, str]) -> str:
    return "; ".join(f"{what}: {reason}" for what, reason in reasons.items())
