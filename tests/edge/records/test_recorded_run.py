"""A recorded run, inspected again by the real loop and engine, gives the same verdicts, bit for bit; tampering shows."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.bundle import open_bundle
from edge.cameras.base import Camera
from edge.cameras.lasting_camera import LastingCamera
from edge.cameras.recorded import RecordedCamera
from edge.clock import ManualClock, SystemClock
from edge.engines.open_engine import open_engine
from edge.errors import CameraTimeoutError, EndOfStream, FrameError, HashMismatchError, OutputError, RecordsError
from edge.frame import Frame
from edge.inspection_loop import InspectionLoop
from edge.line.part_feed import FreeFeed
from edge.line.part_line import FreeLine
from edge.line.reject_gate import RejectGate
from edge.line.reject_line import RejectLine
from edge.line.station_view import station_view
from edge.products.product import CurrentProduct, Product
from edge.records import run_recorder
from edge.records.recorded_run import FILE, FRAMES, RecordedRun, read_run
from edge.records.replay import ReplayedLine, ReplayedSlots, differences, from_outside
from edge.records.run_recorder import RunRecorder
from edge.slots.bound_slot import BoundSlot
from edge.slots.calibration_slot import SlotStore
from edge.station_config import CameraConfig, StationConfig
from edge.verdict import Outcome, Verdict
from tests.tiny_bundle import SHAPE, part_image, write_tiny_bundle

Script = list[np.ndarray | Exception]
LATE = "no verdict within 80 ms of the trigger"


class ScriptedCamera(Camera):
    """Plays pictures and errors, and remembers the last frame as the loop got it."""

    def __init__(self, script: Script, clock: ManualClock) -> None:
        super().__init__("scripted")
        self.script, self.clock = script, clock
        self.last: Frame | None = None

    def read(self, timeout_ms: int) -> Frame:
        self.last = None
        self.last = super().read(timeout_ms)
        return self.last

    def _read_impl(self, timeout_ms: int) -> tuple[object, int, str]:
        if not self.script:
            raise EndOfStream("the end")
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step, self.clock.monotonic_ns(), f"scripted#{len(self.script)}"

    def _close_impl(self) -> None:
        pass


class Place:
    """The real loop around a bundle with two calibrations."""

    def __init__(self, bundle_dir: Path, folder: Path) -> None:
        self.folder, self.clock, self.told = folder, ManualClock(), list[str]()
        self.bundle = open_bundle(bundle_dir)
        self.store = SlotStore(bundle_dir.parent, self.bundle)
        self.engine = open_engine(self.bundle)
        self.view = station_view(StationConfig(), SHAPE)

    def recorder(self, queue_bytes: int = 10**9) -> RunRecorder:
        return RunRecorder(
            self.folder,
            self.bundle,
            "fp32",
            self.engine.runtime,
            StationConfig(),
            "scripted",
            self.clock,
            self.told.append,
            queue_bytes,
        )

    def inspect(self, camera: Camera, slots: object, first: object, report: Callable[[Verdict, InspectionLoop], None]) -> None:
        self.engine.bind(first.tensors)  # type: ignore[attr-defined]
        gate = RejectGate(200, 1000)
        bound = BoundSlot(self.engine, first)  # type: ignore[arg-type]
        current = CurrentProduct(Product(bound, self.view, "fp32", slots))  # type: ignore[arg-type]
        line = FreeLine(gate, RejectLine(None, gate, self.clock))
        feed = FreeFeed(LastingCamera(camera, lambda: camera, self.clock), current.preprocess, self.clock, 2000)
        loop = InspectionLoop(
            feed, current, line, self.clock, 1000, lambda verdict, _seen, _inference: report(verdict, loop),
        )  # fmt: skip
        loop.run(threading.Event())
        line.close()

    def record(self, script: Script, late: tuple[int, ...] = (), change_at: int | None = None) -> list[Verdict]:
        """Record a run of ``script`` with slot 1, with 2 from ``change_at`` on; parts in ``late`` are at fault for their time."""
        camera, recorder, verdicts = ScriptedCamera(script, self.clock), self.recorder(), list[Verdict]()
        slots = Changing(self.store, change_at)

        def report(verdict: Verdict, loop: InspectionLoop) -> None:
            if verdict.part_id in late:
                verdict = dataclasses.replace(verdict, outcome=Outcome.FAULT, reason=LATE)
            recorder.add(verdict, camera.last, loop.slot, counts=verdict.part_id * 10)
            verdicts.append(verdict)

        self.inspect(camera, slots, self.store.load(1), report)
        recorder.close()
        recorder.close()
        return verdicts

    def replay(self, run: RecordedRun) -> list[Verdict]:
        run.require(self.bundle)
        slots, line, verdicts = ReplayedSlots(run, self.bundle), ReplayedLine(run), list[Verdict]()

        def report(verdict: Verdict, loop: InspectionLoop) -> None:
            outcome, reason = line.decide(verdict.part_id, verdict.outcome, verdict.reason, verdict.trigger_ns)
            verdicts.append(dataclasses.replace(verdict, outcome=outcome, reason=reason))

        self.inspect(RecordedCamera(run, self.clock), slots, slots.first, report)
        assert slots.refused == []
        return verdicts


class Changing:
    """Another calibration before one of the parts."""

    def __init__(self, store: SlotStore, at: int | None) -> None:
        self.store, self.at, self.part = store, at, -1

    def take(self) -> object:
        self.part += 1
        return self.store.load(2) if self.part == self.at else None

    def answer(self, slot: object, refused: str = "") -> None:
        assert not refused


@pytest.fixture
def place(two_slots_dir: Path, tmp_path: Path) -> Place:
    return Place(two_slots_dir, tmp_path / "run")


def some_parts() -> Script:
    black = np.zeros((96, 96, 3), np.uint8)
    return [
        part_image(1), part_image(2, defect=True), black, CameraTimeoutError("no frame within 2000 ms"), part_image(3),
        FrameError("truncated"), part_image(4), part_image(5, defect=True), part_image(6),
    ]  # fmt: skip


def edit_line(folder: Path, number: int, old: str, new: str) -> None:
    lines = (folder / FILE).read_text().split("\n")
    assert old in lines[number]
    lines[number] = lines[number].replace(old, new)
    (folder / FILE).write_text("\n".join(lines))


def test_a_replay_gives_the_recorded_verdicts_bit_for_bit(place: Place) -> None:
    recorded = place.record(some_parts(), late=(6,), change_at=4)
    outcomes = [verdict.outcome.value for verdict in recorded]
    assert outcomes == ["PASS", "REJECT", "FAULT", "FAULT", "PASS", "FAULT", "FAULT", "REJECT", "PASS"]
    run = read_run(place.folder)
    assert [part.calibration_serial for part in run.parts] == [1] * 4 + [2] * 5
    assert [from_outside(part) for part in run.parts] == [part_id == 6 for part_id in range(9)]
    assert run.end is not None
    assert (run.end.parts, run.end.lost) == (9, 0)
    assert (run.parts[1].trigger_ns, run.parts[1].counts) == (recorded[1].trigger_ns, 10)
    for serial in (1, 2):  # the run stands by itself
        place.store.pointer.path.unlink(missing_ok=True)
        for path in place.store.slot_path(serial).iterdir():
            path.unlink()
    replayed = place.replay(run)
    assert differences(run, replayed) == []
    assert [verdict.scores for verdict in replayed if verdict.part_id != 2] == [
        verdict.scores for verdict in recorded if verdict.part_id != 2
    ]  # that of the black one is not a number
    assert [verdict.reason for verdict in replayed] == [verdict.reason for verdict in recorded]
    assert [verdict.source for verdict in replayed if verdict.scores] == [verdict.source for verdict in recorded if verdict.scores]


def test_what_differs_is_named_by_part_and_field(place: Place) -> None:
    recorded = place.record([part_image(1), part_image(2, defect=True), part_image(3)])
    run = read_run(place.folder)
    assert recorded[0].scores is not None
    other = dataclasses.replace(recorded[0].scores, score=np.nextafter(recorded[0].scores.score, 9.0).item())
    changed = [
        dataclasses.replace(recorded[0], scores=other),
        dataclasses.replace(recorded[1], outcome=Outcome.PASS, calibration_serial=7),
        dataclasses.replace(recorded[2], scores=None),
    ]
    found = differences(run, changed)
    assert [(one.part_id, one.field) for one in found] == [(0, "score"), (1, "outcome"), (1, "calibration"), (2, "scores")]
    assert found[1].describe() == "part 1: outcome was REJECT, is PASS"
    (short,) = differences(run, recorded[:2])
    assert (short.field, short.recorded, short.replayed) == ("the number of verdicts", "3", "2")


def test_another_picture_than_the_recorded_one_is_a_fault_and_a_difference(place: Place) -> None:
    place.record([part_image(1), part_image(2), part_image(3)])
    frames = sorted((place.folder / FRAMES).iterdir())
    cv2.imwrite(str(frames[1]), part_image(2) ^ 1)
    frames[2].write_bytes(frames[2].read_bytes()[:-20])
    run = read_run(place.folder)
    replayed = place.replay(run)
    assert [verdict.outcome.value for verdict in replayed] == ["PASS", "FAULT", "FAULT"]
    assert "is not the recorded picture" in replayed[1].reason
    assert [(one.part_id, one.field) for one in differences(run, replayed)] == [
        (1, "outcome"), (1, "scores"), (2, "outcome"), (2, "scores"),
    ]  # fmt: skip


def test_a_changed_line_slot_or_model_is_refused(place: Place, tmp_path: Path) -> None:
    place.record([part_image(1), part_image(2)])
    whole = (place.folder / FILE).read_bytes()
    for number, old, new in ((0, "fp32", "fp16"), (2, "PASS", "FAULT"), (1, '"part_id":0', '"part_id":1')):
        edit_line(place.folder, number, old, new)
        with pytest.raises(RecordsError, match=f"line {number + 1}: was changed"):
            read_run(place.folder)
        (place.folder / FILE).write_bytes(whole)
    lines = whole.split(b"\n")
    (place.folder / FILE).write_bytes(b"\n".join([*lines[:1], *lines[2:]]))
    with pytest.raises(RecordsError, match="line 2: was changed, or one before it was removed"):
        read_run(place.folder)
    (place.folder / FILE).write_bytes(whole)
    slot = place.folder / "calibration" / "tiny" / "000001" / "centers_0.npy"
    slot.write_bytes(slot.read_bytes()[:-1] + b"\x00")
    with pytest.raises(HashMismatchError):
        ReplayedSlots(read_run(place.folder), place.bundle)
    other = write_tiny_bundle(tmp_path / "other", precisions=("fp16",))
    with pytest.raises(RecordsError, match="another fp32 model"):
        read_run(place.folder).require(open_bundle(other))
    with pytest.raises(RecordsError, match="name the folder given to --record"):
        read_run(tmp_path / "none")


def test_a_recording_cut_off_at_any_byte_is_read_up_to_there(place: Place) -> None:
    place.record([part_image(seed) for seed in range(4)])
    whole = (place.folder / FILE).read_bytes()
    ends = [place for place, byte in enumerate(whole) if byte == 10]
    for cut in range(0, len(whole), 101):
        (place.folder / FILE).write_bytes(whole[:cut])
        lines = sum(1 for end in ends if end < cut)
        if lines == 0:
            with pytest.raises(RecordsError, match="before it began"):
                read_run(place.folder)
            continue
        run = read_run(place.folder)
        assert (len(run.parts), run.end) == (lines - 1, None)
        assert "was cut off" in run.describe()


def test_a_full_or_slow_disk_loses_parts_and_the_run_says_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = place.recorder(queue_bytes=2 * part_image(0).nbytes)
    slot = place.store.load(1)
    go_on = threading.Event()
    room = run_recorder.free_bytes

    def slow(folder: Path) -> int:
        go_on.wait(10)
        return room(folder)

    def add(part_id: int) -> None:
        verdict = Verdict(part_id, Outcome.FAULT, "x", "s", 1, 2, 3, 4, None, None, 1)
        recorder.add(verdict, Frame(part_image(part_id), part_id, 2, "s"), slot)

    monkeypatch.setattr(run_recorder, "free_bytes", slow)
    for part_id in range(5):
        add(part_id)
    assert recorder.dropped == 3
    go_on.set()
    assert recorder._writer.flush(10)
    monkeypatch.setattr(run_recorder, "free_bytes", lambda folder: 1)
    add(5)
    assert recorder._writer.flush(10)
    assert isinstance(recorder.failure, OutputError)
    monkeypatch.setattr(run_recorder, "free_bytes", room)
    write = os.write

    def torn(handle: int, content: bytes) -> int:
        if len(content) > 100:
            return write(handle, content[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as fault:
        fault.setattr(os, "write", torn)
        add(6)
        assert recorder._writer.flush(10)
    add(7)
    recorder.close()
    run = read_run(place.folder)
    assert [part.part_id for part in run.parts] == [0, 1, 7]
    assert run.end is not None
    assert (run.end.parts, run.end.lost) == (3, 5)
    assert "5 parts are not in it" in run.describe()
    assert "must stay; inspection goes on" in place.told[1]


def test_the_station_and_its_mask_come_back(two_slots_dir: Path, tmp_path: Path) -> None:
    mask = tmp_path / "run.jsonl.png"
    cv2.imwrite(str(mask), np.zeros((96, 96, 3), np.uint8))
    station = StationConfig(ignore_mask=mask, camera=CameraConfig(source="3", gain=2))
    bundle = open_bundle(two_slots_dir)
    RunRecorder(tmp_path / "run", bundle, "fp32", "x", station, "c", SystemClock(), print).close()
    run = read_run(tmp_path / "run")
    assert run.station() == station.model_copy(update={"ignore_mask": tmp_path / "run" / "ignore_mask.png"})
    assert run.header.view == station_view(run.station(), SHAPE).view
    with pytest.raises(OutputError, match="not an empty folder"):
        RunRecorder(tmp_path / "run", bundle, "fp32", "x", station, "c", SystemClock(), print)
    with pytest.raises(OutputError, match="cannot record there"):
        RunRecorder(mask / "x", bundle, "fp32", "x", station, "c", SystemClock(), print)
    content = json.loads((tmp_path / "run" / FILE).read_text().split("\n")[0].partition(" ")[2])
    assert content["station"]["ignore_mask"] == "ignore_mask.png"


def test_the_camera_keeps_the_contract(place: Place) -> None:
    place.record([part_image(1), CameraTimeoutError("no frame within 2000 ms"), part_image(3)])
    camera = RecordedCamera(read_run(place.folder), SystemClock())
    before = SystemClock().monotonic_ns()
    frame = camera.read(100)
    assert np.array_equal(frame.image, part_image(1))
    assert (frame.index, frame.source) == (0, "scripted#2")
    assert before <= frame.exposed_ns <= SystemClock().monotonic_ns()
    assert camera.lock_exposure() is None
    with pytest.raises(CameraTimeoutError, match="no frame within 2000 ms"):
        camera.read(100)
    assert camera.read(100).index == 2
    for _ in range(2):
        with pytest.raises(EndOfStream):
            camera.read(100)
    camera.close()
    camera.close()
