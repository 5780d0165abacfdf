"""One suite over every output line; libgpiod's runs where the machine has a gpio-sim chip made for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.clock import ManualClock
from edge.errors import LineError, LineOpenError
from edge.gpio.base import OutputLine
from edge.gpio.libgpiod import GpiodLine
from edge.gpio.recording import RecordingLine
from edge.line.line_config import LineConfig

SIMULATED_CHIP = "EDGE_INSPECT_GPIO_SIM"
"""Label and sysfs folder of a gpio-sim chip, as `label:/sys/devices/platform/…/gpiochipN`; set by tests/hil."""


@dataclass
class Bench:
    """A way to open a line, and to see from outside what level it has."""

    open: Callable[[bool], OutputLine]
    level: Callable[[], bool]


def recording() -> Bench:
    opened: list[RecordingLine] = []

    def open_line(safe: bool) -> OutputLine:
        opened.append(RecordingLine("line", safe, ManualClock()))
        return opened[-1]

    return Bench(open_line, lambda: opened[-1].changes[-1][1])


def simulated(active: str) -> Bench:
    value = os.environ.get(SIMULATED_CHIP)
    if not value:
        pytest.skip(f"no gpio-sim chip here ({SIMULATED_CHIP} is not set)")
    label, _, folder = value.partition(":")
    config = LineConfig(chip=label, line="reject", active=active)  # type: ignore[arg-type]
    high = Path(folder) / "sim_gpio3" / "value"
    return Bench(lambda safe: GpiodLine("reject", config, safe), lambda: (high.read_text().strip() == "1") == (active == "high"))


BENCHES: dict[str, Callable[[], Bench]] = {
    "recording": recording,
    "gpiod, active high": lambda: simulated("high"),
    "gpiod, active low": lambda: simulated("low"),
}


@pytest.fixture(params=BENCHES)
def bench(request: pytest.FixtureRequest) -> Bench:
    return BENCHES[request.param]()


@pytest.mark.parametrize("safe", [True, False])
def test_it_holds_the_safe_value_from_the_first_moment(bench: Bench, safe: bool) -> None:
    with bench.open(safe) as line:
        assert line.value is safe
        assert bench.level() is safe


@pytest.mark.parametrize("safe", [True, False])
def test_it_is_driven_both_ways_and_left_safe(bench: Bench, safe: bool) -> None:
    line = bench.open(safe)
    for value in (not safe, safe, not safe, not safe):
        line.set(value)
        assert line.value is value
        assert bench.level() is value
    line.close()
    assert line.value is safe
    line.close()
    with pytest.raises(LineError, match="is closed"):
        line.set(safe)


def test_an_error_in_between_leaves_it_safe(bench: Bench) -> None:
    with pytest.raises(ZeroDivisionError), bench.open(True) as line:
        line.set(False)
        raise ZeroDivisionError
    assert line.value is True


def test_a_line_in_use_and_a_line_that_is_not_there() -> None:
    bench = simulated("high")
    label = os.environ[SIMULATED_CHIP].partition(":")[0]
    with bench.open(True), pytest.raises(LineOpenError, match="is in use by 'edge-inspect'"):
        bench.open(True)
    with pytest.raises(LineOpenError, match=r"has no such line \(8 lines\)"):
        GpiodLine("reject", LineConfig(chip=label, line="no-such-name"), True)
    with pytest.raises(LineOpenError, match="has no such line"):
        GpiodLine("reject", LineConfig(chip=label, line=64), True)


def test_a_chip_that_does_not_exist_is_told_with_those_that_do() -> None:
    pytest.importorskip("gpiod")
    with pytest.raises(LineOpenError, match=r"there is no GPIO chip 'tegra999-gpio'; present: "):
        GpiodLine("reject", LineConfig(chip="tegra999-gpio", line=1), True)
