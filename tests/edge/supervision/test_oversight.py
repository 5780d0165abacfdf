"""A line that is lost ends the run, whichever thread finds out: what comes back later is another chip."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from edge.clock import ManualClock
from edge.errors import LineError
from edge.gpio.recording import RecordingLine
from edge.line.line_config import LinesConfig
from edge.line.output_lines import OutputLines
from edge.line.part_line import FreeLine
from edge.line.reject_gate import RejectGate
from edge.line.reject_line import RejectLine
from edge.records.keeping import Keeping
from edge.station_config import StationConfig
from edge.supervision.oversight import Oversight
from edge.supervision.service_manager import ServiceManager
from edge.supervision.states import State


@pytest.fixture
def over(tmp_path: Path) -> Iterator[Oversight]:
    clock, station = ManualClock(), StationConfig(lines=LinesConfig(backend="recording"))
    with ExitStack() as stack:
        outputs = stack.enter_context(OutputLines(station.lines, clock))
        kept = Keeping(station, tmp_path, False, None, clock, lambda text: None)
        stack.callback(kept.close)
        made = Oversight(station, outputs, kept, lambda text: None, ServiceManager({}), clock)
        gate = RejectGate(100, 1000)
        parts = FreeLine(gate, RejectLine(None, gate, clock))
        stack.callback(parts.close)
        made.guard(parts, tmp_path, stack)
        made.states.opened()
        made.states.test_passed()
        yield made


def test_a_lost_input_is_a_fault_at_once_and_ends_the_run_at_the_next_beat(over: Oversight) -> None:
    over.beat()
    over.line_lost("trigger", "eye input: /dev/gpiochip1 is gone")
    assert over.states.state is State.FAULT
    with pytest.raises(LineError, match="trigger: eye input: /dev/gpiochip1 is gone"):
        over.beat()


def test_an_output_that_fails_in_a_thread_that_does_not_care_ends_the_run(over: Oversight, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: RecordingLine, value: bool) -> None:
        raise LineError("ok line: cannot be driven: No such device")

    monkeypatch.setattr(RecordingLine, "_set_impl", gone)
    with pytest.raises(LineError):
        over.states.fail("starts", "too many")
    monkeypatch.undo()
    with pytest.raises(LineError, match="ok line"):
        over.beat()


def test_a_stop_that_no_output_tells_raises_nothing_and_lets_no_part_pass(over: Oversight, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: RecordingLine, value: bool) -> None:
        raise LineError("stop line: cannot be driven: No such device")

    over.states.part()
    monkeypatch.setattr(RecordingLine, "_set_impl", gone)
    over.stop_line("part 7 is not good and may have gone on")
    monkeypatch.undo()
    assert over.states.state is State.FAULT
    assert "part 7" in over.states.faults["line stop"]


def test_a_line_lost_after_a_stop_does_not_end_the_run_which_would_start_the_conveyor_by_itself(over: Oversight) -> None:
    over.stop_line("part 7 is not good and may have gone on")
    over.line_lost("reject confirm", "confirm input: /dev/gpiochip1 is gone")
    over.beat()
    assert not over.states.outputs.passes
    assert set(over.states.faults) == {"line stop", "reject confirm"}
