"""One suite over every input; libgpiod's runs where the machine has a gpio-sim chip, whose pulls are moved from outside."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.clock import Clock, ManualClock, SystemClock
from edge.errors import LineError, LineOpenError
from edge.gpio import gpiod_inputs, recording_inputs
from edge.gpio.gpiod_inputs import GpiodInputs
from edge.gpio.input_lines import Edge, InputLines
from edge.gpio.libgpiod import GpiodLine
from edge.gpio.recording_inputs import RecordingInputs
from edge.line.line_config import InputConfig, LineConfig
from tests.contracts.test_lines import SIMULATED_CHIP

OFFSETS = {"eye": 0, "encoder A": 1}
APART_S = 0.03
"""Of changes from outside, so that the simulated kernel tells each by itself."""


@dataclass
class Bench:
    """Inputs, and a way to move the logical value of one from outside. settle: lets a change reach the reader."""

    inputs: InputLines
    move: Callable[[str, bool], None]
    clock: Clock
    settle: Callable[[], None] = lambda: time.sleep(APART_S)


def recording(only: Mapping[str, bool] | None = None) -> Bench:
    clock = ManualClock(1_000_000_000)
    inputs = RecordingInputs(OFFSETS, clock, only=only)

    def move(name: str, value: bool) -> None:
        inputs.play(Edge(name, clock.monotonic_ns(), value))

    return Bench(inputs, move, clock, lambda: clock.advance_ms(1))


def chip() -> tuple[str, Path]:
    value = os.environ.get(SIMULATED_CHIP)
    if not value:
        pytest.skip(f"no gpio-sim chip here ({SIMULATED_CHIP} is not set)")
    label, _, folder = value.partition(":")
    return label, Path(folder)


def pull(folder: Path, name: str, high: bool) -> None:
    (folder / f"sim_gpio{OFFSETS[name]}" / "pull").write_text("pull-up" if high else "pull-down")


def simulated(active: str = "high", debounce_ms: float = 0, only: Mapping[str, bool] | None = None) -> Bench:
    label, folder = chip()
    for name in OFFSETS:
        pull(folder, name, active == "low")
    configs: Mapping[str, InputConfig] = {
        name: InputConfig(chip=label, line=offset, active=active, debounce_ms=debounce_ms)  # type: ignore[arg-type]
        for name, offset in OFFSETS.items()
    }
    clock = SystemClock()
    return Bench(GpiodInputs(configs, clock, only), lambda name, value: pull(folder, name, value == (active == "high")), clock)


BENCHES: dict[str, Callable[..., Bench]] = {
    "recording": recording,
    "gpiod, active high": lambda **options: simulated("high", **options),
    "gpiod, active low": lambda **options: simulated("low", **options),
}


@pytest.fixture(params=BENCHES)
def opened(request: pytest.FixtureRequest) -> Callable[..., Bench]:
    return BENCHES[request.param]


@pytest.fixture
def bench(opened: Callable[..., Bench]) -> Bench:
    return opened()


def read(bench: Bench, count: int) -> list[Edge]:
    edges: list[Edge] = []
    for _ in range(50):
        if len(edges) >= count:
            break
        edges += bench.inputs.wait(0.1)
    return edges


def test_nothing_comes_from_lines_that_stand_still(bench: Bench) -> None:
    with bench.inputs as inputs:
        assert inputs.wait(0.01) == []
        assert inputs.wait(-1) == []
        assert inputs.levels() == {"eye": False, "encoder A": False}


def test_edges_come_in_order_with_their_line_direction_and_monotonic_time(bench: Bench) -> None:
    moves = [("eye", True), ("encoder A", True), ("eye", False), ("encoder A", False), ("eye", True)]
    with bench.inputs as inputs:
        before = bench.clock.monotonic_ns()
        for name, value in moves:
            bench.move(name, value)
            bench.settle()
        edges = read(bench, len(moves))
        after = bench.clock.monotonic_ns()
        assert [(edge.line, edge.rising) for edge in edges] == moves
        assert [edge.missed for edge in edges] == [0] * len(moves)
        times = [edge.at_ns for edge in edges]
        assert times == sorted(times)
        assert before <= times[0]
        assert times[-1] <= after
        assert inputs.levels() == {"eye": True, "encoder A": False}


def test_edges_that_nobody_read_in_time_are_counted_in_the_next_one_of_their_line(
    opened: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, changes = 16, 41
    monkeypatch.setattr(gpiod_inputs, "BUFFERED", kept)
    monkeypatch.setattr(recording_inputs, "CAPACITY", kept)
    bench = opened()
    with bench.inputs:
        for index in range(changes):
            bench.move("eye", index % 2 == 0)
            bench.settle()
        edges = read(bench, kept)
        assert [edge.missed for edge in edges] == [changes - kept, *[0] * (kept - 1)]
        assert edges[-1].rising is True
        bench.move("encoder A", True)
        assert [(edge.line, edge.missed) for edge in read(bench, 1)] == [("encoder A", 0)]


@pytest.mark.parametrize("rising", [True, False])
def test_of_a_line_whose_one_edge_is_wanted_only_that_is_told(opened: Callable[..., Bench], rising: bool) -> None:
    bench = opened(only={"eye": rising})
    with bench.inputs:
        for value in (True, False, True, False):
            bench.move("eye", value)
            bench.settle()
        bench.move("encoder A", True)
        edges = read(bench, 3)
        assert [(edge.line, edge.rising, edge.missed) for edge in edges] == [
            ("eye", rising, 0),
            ("eye", rising, 0),
            ("encoder A", True, 0),
        ]


def test_a_closed_one_is_told(bench: Bench) -> None:
    bench.inputs.close()
    bench.inputs.close()
    with pytest.raises(LineError, match="is closed"):
        bench.inputs.wait(0)
    with pytest.raises(LineError, match="is closed"):
        bench.inputs.levels()


@pytest.mark.parametrize("by_kernel", [True, False])
def test_a_bounce_is_one_edge_at_the_time_when_the_level_stood_still(by_kernel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    chip()
    if not by_kernel:
        _refuse_debounce(monkeypatch)
    bench = simulated(debounce_ms=50)
    with bench.inputs:
        for value in (True, False, True, False, True):
            bench.move("eye", value)
        moved = bench.clock.monotonic_ns()
        (edge,) = read(bench, 1)
        assert edge.rising is True
        assert -30e6 < edge.at_ns - moved < 40e6  # and not 50 ms later
        bench.move("eye", False)
        bench.move("eye", True)
        assert bench.inputs.wait(0.2) == []


def _refuse_debounce(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a kernel that cannot debounce answers."""
    whole = gpiod_inputs.GpiodInputs._request_with

    def request(self: GpiodInputs, chip: object, *, by_kernel: bool) -> None:
        if by_kernel:
            raise OSError(errno.ENOTSUP, "not supported")
        whole(self, chip, by_kernel=by_kernel)  # type: ignore[arg-type]

    monkeypatch.setattr(gpiod_inputs.GpiodInputs, "_request_with", request)


def test_a_line_in_use_one_that_is_not_there_and_one_named_twice() -> None:
    label, _ = chip()
    free, wrong = InputConfig(chip=label, line=0), InputConfig(chip=label, line="no-such-name")
    clock = SystemClock()
    taken = InputConfig(chip=label, line="ready")
    ready = GpiodLine("ready", LineConfig(chip=label, line="ready"), False)
    with ready, pytest.raises(LineOpenError, match=r"^eye input \(edge-sim ready\): is in use by 'edge-inspect'"):
        GpiodInputs({"encoder A": free, "eye": taken}, clock)
    with pytest.raises(LineOpenError, match="has no such line"):
        GpiodInputs({"eye": free, "encoder A": wrong}, clock)
    with pytest.raises(LineOpenError, match="are the same line"):
        GpiodInputs({"eye": free, "encoder A": free}, clock)
    GpiodInputs({"eye": free, "encoder A": taken}, clock).close()  # nothing was kept
