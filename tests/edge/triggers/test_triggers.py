"""Photo-eye, encoder and software trigger, over the inputs' stand-in and a real socket."""

from __future__ import annotations

import itertools
import os
import socket
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.clock import ManualClock, SystemClock
from edge.errors import ConfigError, LineError, LineOpenError
from edge.gpio.input_lines import Edge
from edge.gpio.recording_inputs import RecordingInputs
from edge.line.trigger_cli import main
from edge.line.trigger_config import TriggerConfig
from edge.storage.private_socket import short_path
from edge.storage.strict_yaml import parse
from edge.triggers.base import TriggerEvent
from edge.triggers.conveyor import A, B, Conveyor
from edge.triggers.encoder import EncoderTrigger
from edge.triggers.open_trigger import open_trigger
from edge.triggers.photo_eye import EYE, PhotoEye
from edge.triggers.pitch_watch import MOST_PITCHES, PitchWatch
from edge.triggers.software import SOCKET, SoftwareTrigger, TriggerSender

MS = 1_000_000
LINE = {"chip": "tegra234-gpio", "line": "PQ.05"}


class Told:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.places: list[tuple[int, int]] = []
        self.troubles: list[str] = []

    def moved(self, counts: int, at_ns: int) -> None:
        self.places.append((counts, at_ns))

    def lost(self, reason: str) -> None:
        self.troubles.append(reason)


def inputs(*edges: Edge) -> RecordingInputs:
    opened = RecordingInputs((EYE, A, B), ManualClock(10**12))
    opened.play(*edges)
    return opened


def beam(*times_ms: int) -> list[Edge]:
    """Alternating edges of the eye, from not interrupted."""
    return [Edge(EYE, time * MS, index % 2 == 0) for index, time in enumerate(times_ms)]


@pytest.mark.parametrize(("begin", "expected"), [(True, [100, 200]), (False, [130, 230])])
def test_a_part_counts_when_it_comes_into_the_beam_or_leaves_it(begin: bool, expected: list[int]) -> None:
    trigger = PhotoEye(inputs(*beam(100, 130, 200, 230)), begin=begin)
    assert trigger.wait(0) == [TriggerEvent(time * MS) for time in expected]
    assert trigger.wait(0) == []


def test_lost_edges_are_parts_that_were_not_seen() -> None:
    played = [Edge(EYE, 100 * MS, True, 2), Edge(EYE, 130 * MS, False, 1), Edge(EYE, 200 * MS, True), Edge(EYE, 300 * MS, True)]
    assert [event.missed for event in PhotoEye(inputs(*played)).wait(0)] == [2, 1, 0]


def test_a_gap_of_pitches_is_parts_that_were_not_seen() -> None:
    trigger = PhotoEye(inputs(*beam(100, 130, 200, 230, 405, 430, 500, 510)), pitch=PitchWatch(100 * MS, 0.2))
    assert [event.missed for event in trigger.wait(0)] == [0, 0, 1, 0]


def test_each_part_knows_where_the_conveyor_was_and_the_pitch_may_be_counted_there() -> None:
    played = [Edge(A, time * MS, time % 2 == 0) for time in range(100)]  # 50 pulses, a millisecond apart
    played += beam(5, 7, 25, 27, 85, 87)
    played.sort(key=lambda edge: edge.at_ns)
    told = Told()
    trigger = PhotoEye(
        inputs(*played), conveyor=Conveyor(False, None, listener=told), pitch=PitchWatch(10, 0.2), pitch_in_counts=True
    )
    assert trigger.wait(0) == [TriggerEvent(5 * MS, 3), TriggerEvent(25 * MS, 13), TriggerEvent(85 * MS, 43, 2)]
    assert told.places[-1] == (50, 98 * MS)
    assert told.troubles == []


@pytest.mark.parametrize("pitches", [0.5, 1.3, 2.4, 3.5, 20])
def test_a_gap_that_is_no_whole_number_of_pitches_or_a_long_one_is_a_line_that_stood_still(pitches: float) -> None:
    watch = PitchWatch(1000, 0.3)
    watch.missed(0)
    assert watch.missed(round(1000 * pitches)) == 0


@given(
    steps=st.lists(st.tuples(st.integers(1, MOST_PITCHES), st.floats(-0.1, 0.1)), min_size=1, max_size=30),
    pitch=st.integers(1000, 10**9),
)
def test_every_part_that_is_left_out_is_counted(steps: list[tuple[int, float]], pitch: int) -> None:
    """Each part lies up to a tenth of a pitch off its place."""
    watch, place, missed = PitchWatch(pitch, 0.22), 0, 0
    watch.missed(0)
    for step, off in steps:
        place += step
        missed += watch.missed(round((place + off) * pitch))
    assert missed == place - len(steps)


def quadrature(states: list[int]) -> list[Edge]:
    """A cycle of four states; neighbours differ in one track."""
    tracks = [(False, False), (True, False), (True, True), (False, True)]
    edges = []
    for at, (old, new) in enumerate(itertools.pairwise(states), 1):
        (a, _), (a_after, b_after) = tracks[old % 4], tracks[new % 4]
        edges.append(Edge(A, at, a_after) if a != a_after else Edge(B, at, b_after))
    return edges


@given(steps=st.lists(st.sampled_from([-1, 1]), max_size=60), start=st.integers(0, 3), reverse=st.booleans())
def test_two_tracks_tell_the_way(steps: list[int], start: int, reverse: bool) -> None:
    states = list(itertools.accumulate(steps, initial=start))
    told = Told()
    conveyor = Conveyor(start in (1, 2), start in (2, 3), reverse=reverse, listener=told)
    for edge in quadrature(states):
        conveyor.edge(edge)
    assert conveyor.counts == (-1 if reverse else 1) * (states[-1] - start)
    assert len(told.places) == len(steps)
    assert told.troubles == []


def test_counts_that_were_lost_are_told() -> None:
    told = Told()
    conveyor = Conveyor(False, False, listener=told)
    conveyor.edge(Edge(A, 1, True))
    conveyor.edge(Edge(B, 2, False))
    conveyor.edge(Edge(B, 3, True, 4))
    assert told.troubles == ["an edge of encoder B was lost", "4 encoder edges were lost"]
    assert told.places == [(1, 1), (2, 3)]


def test_a_part_every_so_many_counts_and_none_twice_where_the_conveyor_swings() -> None:
    states = [*range(11), 9, 8, *range(9, 16), *range(14, -1, -1), *range(1, 21)]
    trigger = EncoderTrigger(inputs(*quadrature(states)), Conveyor(False, False), every_counts=5)
    assert [event.counts for event in trigger.wait(0)] == [5, 10, 15, 20]


def test_closing_a_trigger_closes_its_inputs() -> None:
    opened = inputs()
    with PhotoEye(opened):
        pass
    assert opened.released


def test_a_datagram_is_a_trigger_and_only_the_owner_may_send_one(tmp_path: Path) -> None:
    path, clock = tmp_path / "state" / SOCKET, ManualClock(7)
    with SoftwareTrigger(path, clock) as trigger:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert trigger.wait(0) == []
        sender = TriggerSender(path)
        for _ in range(3):
            sender.send()
        assert trigger.wait(1) == [TriggerEvent(7)] * 3
        sender._socket.send(b"hello")
        sender._socket.send(b"")
        sender.send()
        assert trigger.wait(1) == [TriggerEvent(7)]
        assert trigger.refused == 2
        with pytest.raises(LineOpenError, match="another edge-inspect takes triggers there"):
            SoftwareTrigger(path, clock)
        assert path.exists()
        sender.close()
    assert not path.exists()
    assert not list(path.parent.iterdir())
    with pytest.raises(LineError, match="is closed"):
        trigger.wait(0)


def test_the_socket_of_a_process_that_died_makes_way_and_a_new_ones_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / SOCKET
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with short_path(path) as name:
        dead.bind(name)
    dead.close()
    first = SoftwareTrigger(path, SystemClock())
    path.unlink()
    second = SoftwareTrigger(path, SystemClock())
    first.close()
    assert path.exists()
    second.close()


def test_a_sender_is_told_when_its_triggers_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.triggers.software.SEND_TIMEOUT_S", 0.01)
    with SoftwareTrigger(tmp_path / SOCKET, SystemClock()) as trigger:
        sender = TriggerSender(tmp_path / SOCKET)
        sent = 0
        with pytest.raises(LineError, match="too many wait to be taken"):
            for _ in range(100_000):
                sender.send()
                sent += 1
        taken = 0
        while events := trigger.wait(0):
            taken += len(events)
        assert taken == sent
        sender.close()


def test_the_command_sends_as_many_as_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--state", str(tmp_path)]) == 2
    assert "no edge-inspect takes triggers there" in capsys.readouterr().err
    seen: list[TriggerEvent] = []
    with SoftwareTrigger(tmp_path / SOCKET, SystemClock()) as trigger:

        def take() -> None:
            while len(seen) < 3 and (events := trigger.wait(10)):
                seen.extend(events)

        thread = threading.Thread(target=take)
        thread.start()
        assert main(["--state", str(tmp_path), "--count", "3", "--every-ms", "2"]) == 0
        thread.join()
    assert [event.at_ns for event in seen] == sorted(event.at_ns for event in seen)
    assert seen[2].at_ns - seen[0].at_ns >= 3 * MS


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use every socket")
def test_another_user_is_told(tmp_path: Path) -> None:
    with SoftwareTrigger(tmp_path / SOCKET, SystemClock()):
        (tmp_path / SOCKET).chmod(0)
        with pytest.raises(LineOpenError, match="no permission"):
            TriggerSender(tmp_path / SOCKET)


def test_the_configuration_opens_each_kind(tmp_path: Path) -> None:
    clock = ManualClock()

    def opened(**keys: object) -> object:
        return open_trigger(parse(TriggerConfig, keys, "x"), "recording", tmp_path, clock)

    assert opened() is None
    assert isinstance(opened(kind="encoder", encoder={"a": LINE, "b": {**LINE, "line": 2}}, every_counts=10), EncoderTrigger)
    software = opened(kind="software")
    assert isinstance(software, SoftwareTrigger)
    software.close()
    eye = opened(kind="photo_eye", eye=LINE, recording_pitch_ms=100)
    assert isinstance(eye, PhotoEye)
    events = [event for _ in range(10) for event in eye.wait(0.05)]
    assert [event.at_ns for event in events] == [time * MS for time in (100, 200, 300, 400, 500)]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"kind": "photo_eye"}, "needs `eye`"),
        ({"kind": "encoder", "encoder": {"a": LINE}}, "needs `every_counts`"),
        ({"eye": LINE}, "a trigger of kind free has no `eye`"),
        ({"kind": "software", "encoder": {"a": LINE}}, "kind software has no `encoder`"),
        ({"kind": "photo_eye", "eye": LINE, "expected_pitch_counts": 5}, "needs `encoder`"),
        ({"kind": "encoder", "every_counts": 5, "encoder": {"a": LINE, "b": LINE}}, "are both tegra234-gpio PQ.05"),
        ({"kind": "encoder", "every_counts": 5, "encoder": {"a": LINE, "reverse": True}}, "`b` is missing"),
        ({"kind": "photo_eye", "eye": LINE, "encoder": {"a": LINE}}, "are both tegra234-gpio PQ.05"),
        ({"kind": "photo_eye", "eye": {**LINE, "debounce": 3}}, "did you mean `debounce_ms`?"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(keys: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(TriggerConfig, keys, "station.yaml")
    assert words in str(error.value)
