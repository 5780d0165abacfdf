"""edge-doctor on a real kernel's lines; runs where the machine has a gpio-sim chip."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.clock import SystemClock
from edge.doctor.finding import Finding, Findings, Status
from edge.doctor.lines import check_lines, check_loopback
from edge.station_config import StationConfig
from edge.storage.strict_yaml import parse
from tests.contracts.test_input_lines import chip

gpiod = pytest.importorskip("gpiod")
OUT, IN = 3, 0
"""Offsets of the reject line and of the input it is wired to."""


def station(label: str, **lines: object) -> StationConfig:
    content = {
        "lines": {"reject": {"chip": label, "line": "reject"}, "ready": {"chip": label, "line": "ready"}, **lines},
        "trigger": {"kind": "photo_eye", "eye": {"chip": label, "line": IN, "debounce_ms": 50}},
    }
    return parse(StationConfig, content, "station.yaml")


@contextmanager
def wired(folder: Path, invert: bool = False) -> Iterator[None]:
    """A wire from OUT to IN."""
    cut = threading.Event()

    def carry() -> None:
        while not cut.wait(0.001):
            high = (folder / f"sim_gpio{OUT}" / "value").read_text().strip() == "1"
            (folder / f"sim_gpio{IN}" / "pull").write_text("pull-up" if high != invert else "pull-down")

    thread = threading.Thread(target=carry)
    thread.start()
    try:
        yield
    finally:
        cut.set()
        thread.join()


@contextmanager
def another_program(label: str, line: str) -> Iterator[None]:
    path = next(str(one) for one in Path("/dev").glob("gpiochip*") if label_of(one) == label)
    settings = gpiod.LineSettings(direction=gpiod.line.Direction.OUTPUT)
    with gpiod.request_lines(path, consumer="somebody", config={line: settings}):
        yield


def label_of(path: Path) -> str:
    with gpiod.Chip(str(path)) as opened:
        return str(opened.get_info().label)


def look(label: str, **lines: object) -> dict[str, Finding]:
    findings = Findings()
    check_lines(station(label, **lines), findings)
    return {one.check: one for one in findings.all}


def loopback(pair: str, label: str) -> Finding:
    findings = Findings()
    check_loopback(pair, station(label), SystemClock(), findings)
    (finding,) = findings.all
    return finding


def test_lines_are_found_with_who_holds_them_and_left_alone() -> None:
    label, folder = chip()
    with another_program(label, "ready"):
        before = (folder / f"sim_gpio{OUT}" / "value").read_text()
        found = look(label, ok={"chip": label, "line": OUT}, fault={"chip": label, "line": 99})
        assert (folder / f"sim_gpio{OUT}" / "value").read_text() == before
    assert found["reject line"].status is Status.OK
    assert found["reject line"].found.endswith("line 3, active low; free")
    assert found["ready line"].status is Status.FAILED
    assert "held by 'somebody'" in found["ready line"].found
    assert found["ok line"].found.startswith("is the same line as reject")
    assert "has no such line" in found["fault line"].found
    assert found["eye input"].status is Status.OK
    assert found["gpiod"].found.startswith("2.")


@pytest.mark.parametrize(("invert", "words"), [(False, "followed 8 changes"), (True, "followed 8 changes, inverted")])
def test_a_wire_is_proved_by_loop_back(invert: bool, words: str) -> None:
    label, folder = chip()
    with wired(folder, invert):
        finding = loopback("reject:EYE", label)
    assert finding.status is Status.OK, finding
    assert words in finding.found
    assert (folder / f"sim_gpio{OUT}" / "value").read_text().strip() == "0"


def test_an_output_that_moves_nothing_is_found() -> None:
    finding = loopback("reject:eye", chip()[0])
    assert finding.status is Status.FAILED
    assert finding.found == "the input followed 4 of 8 levels"
    assert "not muxed as GPIO" in finding.remedy


def test_a_line_that_another_program_holds_is_not_touched() -> None:
    label, _ = chip()
    with another_program(label, "reject"):
        finding = loopback("reject:eye", label)
    assert finding.status is Status.FAILED
    assert "is held by 'somebody', and was not touched" in finding.found


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("reject", "expected OUT:IN"),
        ("eye:reject", "the station has no output 'eye' (it has: reject, ready)"),
        ("BOARD_7:eye", "pin 7 is known on"),
    ],
)
def test_a_pair_that_cannot_be_is_told(pair: str, words: str) -> None:
    finding = loopback(pair, "edge-sim")
    assert finding.status is Status.FAILED
    assert words in f"{finding.found}; {finding.remedy}"
