"""A line that is lost ends the run, whichever thread finds out: what comes back later is another chip."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
from edge.supervision.stop_order import FILE, StopOrder
from tests.edge.supervision.kept_order import until_kept
from tests.until import until


class Levels(OutputLines):
    """What was last said to each line."""

    def __init__(self) -> None:
        super().__init__(LinesConfig(backend="recording"), ManualClock())
        self.level: dict[str, bool] = {}

    def set(self, name: str, value: bool) -> None:
        super().set(name, value)
        self.level[name] = value


@contextmanager
def watched(state: Path, outputs: OutputLines | None = None, told: list[str] | None = None) -> Iterator[Oversight]:
    """A run that has passed its self-test, its lines recorded."""
    clock, station = ManualClock(), StationConfig(lines=LinesConfig(backend="recording"))
    with ExitStack() as stack:
        outputs = stack.enter_context(outputs or OutputLines(station.lines, clock))
        kept = Keeping(station, state, False, None, clock, lambda text: None)
        stack.callback(kept.close)
        order = StopOrder(state, lambda text: None)
        announce = (told if told is not None else []).append
        made = Oversight(station, outputs, kept, announce, ServiceManager({}), clock, order)
        gate = RejectGate(100, 1000)
        parts = FreeLine(gate, RejectLine(None, gate, clock))
        stack.callback(parts.close)
        made.guard(parts, state, stack)
        made.states.opened()
        made.states.test_passed()
        yield made


def release(state: Path) -> None:
    order = StopOrder(state, lambda text: None)
    order.release(order.standing())


@pytest.fixture
def over(tmp_path: Path) -> Iterator[Oversight]:
    with watched(tmp_path) as over:
        yield over


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


def test_a_stop_outlasts_every_end_of_a_run_until_it_is_released(tmp_path: Path) -> None:
    with watched(tmp_path) as over:
        over.stop_line("part 7 is not good and may have gone on")
        until_kept(tmp_path)
    for _ in range(2):
        with watched(tmp_path) as over:
            over.look()
            assert over.states.state is State.FAULT
            assert "part 7 is not good and may have gone on; look for it" in over.states.faults["line stop"]
            assert f"edge-inspect release --state {tmp_path}" in over.states.faults["line stop"]
    release(tmp_path)
    with watched(tmp_path) as over:
        assert over.states.state is State.READY


def test_a_release_lets_the_conveyor_run_after_a_new_self_test_and_the_next_stop_stands_again(tmp_path: Path) -> None:
    lines = Levels()
    with watched(tmp_path, lines) as over:
        for part in (7, 8):
            over.stop_line(f"part {part} is not good and may have gone on")
            over.stop_line("and another one")
            until_kept(tmp_path)
            over.look()
            assert lines.level["stop"]
            assert f"part {part} is not good and may have gone on; and another one; look" in over.states.faults["line stop"]
            release(tmp_path)
            until(lambda: over.look() or not over.states.faults)
            assert over.states.state is State.SELF_TEST
            assert not lines.level["stop"]
            assert over.states.test_passed()


def test_another_part_that_may_have_gone_on_while_the_line_stands_is_told_once(tmp_path: Path) -> None:
    told: list[str] = []
    with watched(tmp_path, told=told) as over:
        for part in (7, 8, 8):
            over.stop_line(f"part {part} is not good and may have gone on")
    assert [line.partition("stop")[2].partition("may")[0] for line in told] == [
        ": part 7 is not good and ",
        ", too: part 8 is not good and ",
    ]


def test_a_part_that_goes_on_while_the_line_is_released_stops_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with watched(tmp_path) as over:
        over.stop_line("part 7 is not good and may have gone on")
        until_kept(tmp_path)
        release(tmp_path)
        looked = StopOrder.released

        def meanwhile(order: StopOrder) -> bool:
            found = looked(order)
            if found:
                over.stop_line("part 8 is not good and may have gone on")
            return found

        monkeypatch.setattr(StopOrder, "released", meanwhile)
        until(lambda: over.look() or (tmp_path / FILE).exists())
        monkeypatch.undo()
        over.look()
        assert over.states.state is State.FAULT
