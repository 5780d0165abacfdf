"""Lamps and conveyor, said by several threads at once."""

from __future__ import annotations

import threading

from edge.clock import ManualClock
from edge.line.line_config import LinesConfig
from edge.line.output_lines import OutputLines
from edge.supervision.line_states import LineStates
from edge.supervision.state_outputs import StateOutputs


class Interrupted(OutputLines):
    """Another thread stops the line just when the first is about to let the conveyor run."""

    def __init__(self) -> None:
        super().__init__(LinesConfig(backend="recording"), ManualClock())
        self.outputs = StateOutputs(self, False, lambda change: None)
        self.other = threading.Thread(target=self.outputs.stop_line)
        self.stopped = True

    def set(self, name: str, value: bool) -> None:
        if name != "stop":
            return
        if not value and self.other.ident is None:
            self.other.start()
            self.other.join(0.05)
        self.stopped = value


def test_a_change_of_state_takes_no_stop_back_that_another_thread_said_meanwhile() -> None:
    lines = Interrupted()
    LineStates(lines.outputs, ManualClock()).opened()
    lines.other.join()
    assert lines.stopped
