from __future__ import annotations

import threading

import pytest

import edge.line.output_lines
from edge.clock import ManualClock
from edge.errors import ConfigError, LineError, LineOpenError
from edge.gpio.base import OutputLine
from edge.gpio.recording import RecordingLine
from edge.line.line_config import OUTPUTS, SAFE, LinesConfig
from edge.line.output_lines import OutputLines
from edge.storage.strict_yaml import parse

RECORDING = LinesConfig(backend="recording")
Opened = dict[str, RecordingLine]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """The lines that were opened, by name."""
    lines: Opened = {}

    def open_line(name: str, config: object, safe: bool, backend: str, clock: ManualClock) -> OutputLine:
        lines[name] = RecordingLine(name, safe, clock)
        return lines[name]

    monkeypatch.setattr("edge.line.output_lines.open_line", open_line)
    return lines


def test_each_is_opened_safe_driven_by_name_and_left_safe(opened: Opened) -> None:
    with OutputLines(RECORDING, ManualClock()) as lines:
        assert {name: line.value for name, line in opened.items()} == SAFE
        assert list(opened) == list(OUTPUTS)
        for name in OUTPUTS:
            lines.set(name, not SAFE[name])
            assert opened[name].value is not SAFE[name]
            assert lines.has(name)
    assert {name: line.value for name, line in opened.items()} == SAFE
    assert all(line.released for line in opened.values())
    lines.close()


def test_a_dead_line_stops_rejects_and_calls_for_a_person() -> None:
    """What the wires say when nobody drives them: a low level."""
    line = {"chip": "a"}
    config = parse(LinesConfig, {name: {**line, "line": index} for index, name in enumerate(OUTPUTS)}, "x")
    dead = {name: getattr(config, name).active == "low" for name in OUTPUTS}
    assert dead == SAFE


def test_a_line_that_the_station_has_not_is_passed_over_and_one_that_is_none_is_an_error() -> None:
    lines = OutputLines(LinesConfig(), ManualClock())
    lines.set("ok", True)
    assert lines.take("reject") is None
    assert not lines.has("ok")
    for call in (lambda: lines.set("okay", True), lambda: lines.take("okay")):
        with pytest.raises(ValueError, match="expected one of reject, "):
            call()
    lines.close()


def test_a_line_that_does_not_open_closes_those_before_it(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = edge.line.output_lines.open_line

    def open_line(name: str, *rest: object) -> OutputLine:
        if name == "ok":
            raise LineOpenError("ok line: is in use")
        return whole(name, *rest)  # type: ignore[no-any-return]

    monkeypatch.setattr("edge.line.output_lines.open_line", open_line)
    with pytest.raises(LineOpenError, match="in use"):
        OutputLines(RECORDING, ManualClock())
    assert set(opened) == {"reject", "stop", "fault", "ready"}
    assert all(line.released for line in opened.values())


@pytest.mark.parametrize("error", [LineError("the chip is gone"), RuntimeError("driver bug")])
def test_one_that_fails_to_close_does_not_keep_the_others_from_it(opened: Opened, error: Exception) -> None:
    lines = OutputLines(RECORDING, ManualClock())

    def broken(value: bool) -> None:
        raise error

    opened["stop"]._set_impl = broken  # type: ignore[method-assign]
    with pytest.raises(type(error)):
        lines.set("stop", False)
    lines.set("ready", True)
    with pytest.raises(LineError, match=str(error)):
        lines.close()
    assert all(line.released for line in opened.values())
    assert opened["ready"].value is False
    lines.close()


def test_one_whose_driver_blocks_is_told_and_the_others_are_closed(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.line.output_lines.CLOSE_S", 0.02)
    lines = OutputLines(RECORDING, ManualClock())
    go_on, blocked = threading.Event(), threading.Event()

    def stuck(value: bool) -> None:
        blocked.set()
        go_on.wait(10)

    opened["fault"]._set_impl = stuck  # type: ignore[method-assign]
    thread = threading.Thread(target=lines.set, args=("fault", False))
    thread.start()
    assert blocked.wait(5)
    with pytest.raises(LineError, match="fault: its driver blocks"):
        lines.close()
    assert {name for name, line in opened.items() if line.released} == set(OUTPUTS) - {"fault"}
    go_on.set()
    thread.join(5)


def test_a_line_that_was_taken_is_its_keepers_and_still_left_safe(opened: Opened) -> None:
    with OutputLines(RECORDING, ManualClock()) as lines:
        reject = lines.take("reject")
        assert reject is opened["reject"]
        with pytest.raises(LineError, match="driven by its own keeper"):
            lines.set("reject", False)
        reject.set(False)
    assert opened["reject"].value is True
    assert opened["reject"].released


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ({"reject": {"chip": "a", "line": 1}, "ok": {"chip": "a", "line": 1}}, "`reject` and `ok` are both a 1"),
        ({"reject": {"pin": 7}, "ok": {"line": "BOARD_7"}}, "`reject` and `ok` are both pin 7"),
        ({"reject": {"pin": 7, "line": 3}}, "expected either `pin`, or `chip` and `line`"),
        ({"reject": {"chip": "a", "line": "BOARD_7"}}, "a pin of the header has no `chip`"),
        ({"reject": {"chip": "a"}}, "key `line` is missing"),
        ({"reject": {"line": 5}}, "key `chip` is missing"),
        ({"reject": {"pin": 41}}, "less than or equal to 40"),
    ],
)
def test_lines_that_cannot_be_are_refused(text: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(LinesConfig, text, "station.yaml")
    assert words in str(error.value)
