"""Lamps and conveyor, said by several threads at once."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edge.clock import ManualClock
from edge.line.line_config import LinesConfig
from edge.line.output_lines import OutputLines
from edge.supervision.line_states import LineStates
from edge.supervision.state_outputs import StateOutputs
from edge.verdict import Outcome


class Interrupted(OutputLines):
    """Another thread does ``meanwhile`` just when the first is about to say ``value`` of the line ``name``."""

    def __init__(self, name: str, value: bool, meanwhile: Callable[[], None]) -> None:
        super().__init__(LinesConfig(backend="recording"), ManualClock())
        self.when, self.said = (name, value), not value
        self.other = threading.Thread(target=meanwhile)

    def set(self, name: str, value: bool) -> None:
        if name == self.when[0]:
            if (name, value) == self.when and self.other.ident is None:
                self.other.start()
                self.other.join(0.05)
            self.said = value


def test_a_change_of_state_takes_no_stop_back_that_another_thread_said_meanwhile() -> None:
    lines = Interrupted("stop", False, lambda: outputs.stop_line())
    outputs = StateOutputs(lines, False, lambda change: None)
    LineStates(outputs, ManualClock()).opened()
    lines.other.join()
    assert lines.said


def test_a_good_part_is_not_said_to_be_one_after_a_fault_that_came_meanwhile() -> None:
    lines = Interrupted("ok", True, lambda: states.fail("camera", "lost"))
    outputs = StateOutputs(lines, False, lambda change: None)
    states = LineStates(outputs, ManualClock())
    states.opened()
    states.test_passed()
    outputs.judged(Outcome.PASS)
    lines.other.join()
    assert not lines.said
