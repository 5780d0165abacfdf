"""The line as the state of the inspection allows it: no part passes where none may, and the challenge part must be rejected."""

from __future__ import annotations

from edge.clock import Clock
from edge.line.part_line import PartLine
from edge.supervision.challenge import Challenge, Result
from edge.supervision.line_states import LineStates
from edge.supervision.state_outputs import StateOutputs
from edge.supervision.states import State
from edge.verdict import Outcome

CHALLENGE = "challenge"


class GuardedLine:
    """A PartLine before another one. Verdicts come from one thread; ``announce`` may be called by any."""

    def __init__(self, line: PartLine, states: LineStates, outputs: StateOutputs, challenge: Challenge, clock: Clock) -> None:
        self._line, self._states, self._outputs, self._challenge, self._clock = line, states, outputs, challenge, clock

    def decide(self, part_id: int, outcome: Outcome, reason: str, seen_ns: int) -> tuple[Outcome, str]:
        """As PartLine.decide; a PASS in a state that passes none, and of the challenge part, is a FAULT."""
        result = self._challenge.judge(outcome, seen_ns)
        if result is Result.FAILED:
            outcome, reason = Outcome.FAULT, result.value
            self._states.fail(CHALLENGE, result.value)
        elif outcome is Outcome.PASS and not self._states.outputs.passes:
            outcome, reason = Outcome.FAULT, self._why()
        counts, reason = self._line.decide(part_id, outcome, reason, seen_ns)
        self._states.part()
        self._outputs.judged(counts)
        if result is Result.PASSED:
            self._states.clear(CHALLENGE)
        elif self._challenge.due(self._clock.monotonic_ns()) and self._states.outputs.passes:
            self._states.test_due("a challenge part is due")
        return counts, reason

    def fault_all(self, reason: str) -> None:
        """As PartLine.fault_all."""
        self._line.fault_all(reason)

    def close(self) -> None:
        """As PartLine.close."""
        self._line.close()

    def _why(self) -> str:
        faults = "; ".join(f"{what}: {why}" for what, why in self._states.faults.items())
        if faults:
            return f"no part can be known to be good: {faults}"
        if self._states.state is State.SELF_TEST and self._challenge.due(self._clock.monotonic_ns()):
            return "no part passes before the challenge part was rejected; announce it with: edge-inspect challenge"
        return f"no part passes in the state {self._states.state.value}"
