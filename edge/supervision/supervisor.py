"""What the inspecting thread tells of itself between two parts, and the self-test that leads back to parts that pass."""

from __future__ import annotations

from collections.abc import Callable

from edge.clock import Clock
from edge.slots.bound_slot import BoundSlot
from edge.supervision.challenge import Challenge
from edge.supervision.line_states import LineStates
from edge.supervision.states import State

ENGINE, CAMERA = "engine", "camera"


class Supervisor:
    """For the thread of the inspection. beat: a cycle is complete, or an idle wait came back in time."""

    def __init__(self, states: LineStates, challenge: Challenge, beat: Callable[[], None], clock: Clock) -> None:
        self._states, self._challenge, self._beat, self._clock = states, challenge, beat, clock

    def between(self, bound: BoundSlot) -> None:
        """Between two parts: an engine that failed is tried, and a self-test made where one is due."""
        self._beat()
        if self._states.state is State.SELF_TEST and self._challenge.due(self._clock.monotonic_ns()):
            return  # until the challenge part was rejected
        if ENGINE in self._states.faults or self._states.state is State.SELF_TEST:
            try:
                bound.test()
            except Exception as error:  # whatever an engine throws
                self.engine_failed(str(error) or type(error).__name__)
                return
            self._states.clear(ENGINE)
            self._states.test_passed()

    def engine_failed(self, reason: str) -> None:
        """No part passes until the engine reproduces its reference scores again."""
        self._states.fail(ENGINE, reason)

    def camera(self, lost: str, bound: BoundSlot) -> None:
        """A part came with its picture, or because the camera is ``lost`` without; one that is back is tested at once."""
        if lost:
            self._states.fail(CAMERA, lost)
        elif CAMERA in self._states.faults:
            self._states.clear(CAMERA)
            self.between(bound)
