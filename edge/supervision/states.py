"""The states of a running inspection: one table of state × event → state, and which outputs each state drives. Pure.

What is not in the table is a mistake in the program and raises. ``line_states.py`` keeps the state of a process, for threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """Where the inspection stands. ``value`` is its name in records."""

    STARTING = "starting"
    """Lines are held safe, everything else is being opened."""
    SELF_TEST = "self-test"
    """The engine must reproduce its recorded scores, the camera deliver, the lines respond, the challenge part be rejected."""
    READY = "ready"
    """Proved, and no part has come yet."""
    RUNNING = "running"
    """Parts come and are judged."""
    DEGRADED = "degraded"
    """Parts are judged as well as ever, and something beside them is not as it should be."""
    FAULT = "fault"
    """No part can be known to be good."""
    STOPPED = "stopped"
    """The end; nothing leads out of it."""


class Event(Enum):
    """What leads from one state to another."""

    OPENED = "everything is open"
    TEST_PASSED = "the self-test is passed"
    TEST_DUE = "a new self-test is due"
    PART = "a part was judged"
    WEAKENED = "something is not as it should be"
    RECOVERED = "all is as it should be again"
    FAILED = "parts can no longer be judged"
    REPAIRED = "what failed works again"
    STOP = "told to stop"


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a state drives. ``passes``: a part seen in it may be a PASS; in any other state it is a FAULT, whatever its scores."""

    ready: bool = False
    ok: bool = False
    fault: bool = False
    passes: bool = False


OUTPUTS = {
    State.STARTING: Outputs(),
    State.SELF_TEST: Outputs(),
    State.READY: Outputs(ready=True, ok=True, passes=True),
    State.RUNNING: Outputs(ready=True, ok=True, passes=True),
    State.DEGRADED: Outputs(ready=True, passes=True),
    State.FAULT: Outputs(fault=True),
    State.STOPPED: Outputs(),
}

TABLE = {
    (State.STARTING, Event.OPENED): State.SELF_TEST,
    (State.STARTING, Event.FAILED): State.FAULT,
    (State.STARTING, Event.STOP): State.STOPPED,
    (State.SELF_TEST, Event.TEST_PASSED): State.READY,
    (State.SELF_TEST, Event.TEST_DUE): State.SELF_TEST,
    (State.SELF_TEST, Event.PART): State.SELF_TEST,
    (State.SELF_TEST, Event.FAILED): State.FAULT,
    (State.SELF_TEST, Event.STOP): State.STOPPED,
    (State.READY, Event.PART): State.RUNNING,
    (State.READY, Event.WEAKENED): State.DEGRADED,
    (State.READY, Event.TEST_DUE): State.SELF_TEST,
    (State.READY, Event.FAILED): State.FAULT,
    (State.READY, Event.STOP): State.STOPPED,
    (State.RUNNING, Event.PART): State.RUNNING,
    (State.RUNNING, Event.WEAKENED): State.DEGRADED,
    (State.RUNNING, Event.TEST_DUE): State.SELF_TEST,
    (State.RUNNING, Event.FAILED): State.FAULT,
    (State.RUNNING, Event.STOP): State.STOPPED,
    (State.DEGRADED, Event.PART): State.DEGRADED,
    (State.DEGRADED, Event.RECOVERED): State.RUNNING,
    (State.DEGRADED, Event.TEST_DUE): State.SELF_TEST,
    (State.DEGRADED, Event.FAILED): State.FAULT,
    (State.DEGRADED, Event.STOP): State.STOPPED,
    (State.FAULT, Event.PART): State.FAULT,
    (State.FAULT, Event.FAILED): State.FAULT,
    (State.FAULT, Event.TEST_DUE): State.FAULT,
    (State.FAULT, Event.REPAIRED): State.SELF_TEST,
    (State.FAULT, Event.STOP): State.STOPPED,
    # Threads end one after the other: what they still report changes nothing.
    (State.STOPPED, Event.PART): State.STOPPED,
    (State.STOPPED, Event.FAILED): State.STOPPED,
    (State.STOPPED, Event.TEST_DUE): State.STOPPED,
    (State.STOPPED, Event.STOP): State.STOPPED,
}


def after(state: State, event: Event) -> State:
    """Where ``event`` leads from ``state``; raises ValueError where the table has no such pair."""
    try:
        return TABLE[state, event]
    except KeyError:
        raise ValueError(f"{event.name} cannot happen in {state.name}; known there: {', '.join(_known(state))}") from None


def _known(state: State) -> list[str]:
    return [event.name for here, event in TABLE if here is state]
