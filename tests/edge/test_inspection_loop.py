from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.bundle import open_bundle
from edge.cameras.base import Camera
from edge.cameras.image_folder import ImageFolderCamera
from edge.cameras.lasting_camera import LastingCamera
from edge.clock import ManualClock
from edge.engines.base import Inference
from edge.engines.open_engine import open_engine
from edge.errors import CameraLostError, CameraOpenError, CameraTimeoutError, EndOfStream, LineError
from edge.gpio.recording import RecordingLine
from edge.inspection_loop import InspectionLoop
from edge.line.part_feed import FreeFeed, Seen
from edge.line.part_line import FreeLine
from edge.line.reject_gate import RejectGate
from edge.line.reject_line import RejectLine
from edge.line.station_view import station_view
from edge.products.product import CurrentProduct, Product
from edge.slots.bound_slot import BoundSlot
from edge.slots.calibration_slot import SlotStore
from edge.slots.slot_watcher import SlotWatcher
from edge.station_config import StationConfig
from edge.verdict import Outcome, Verdict
from tests.tiny_bundle import SHAPE, part_image

Script = list[np.ndarray | Exception]


class ScriptedCamera(Camera):
    """Plays a list of pictures and errors, then ends."""

    def __init__(self, script: Script, clock: ManualClock | None = None, age_ms: int = 0) -> None:
        super().__init__("scripted")
        self.script, self.clock, self.age_ms = script, clock, age_ms

    def _read_impl(self, timeout_ms: int) -> tuple[object, int, str]:
        if not self.script:
            raise EndOfStream("scripted: the end")
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        now = self.clock.monotonic_ns() if self.clock else 0
        return step, now - self.age_ms * 1_000_000, "scripted"

    def _close_impl(self) -> None:
        pass


class Bench:
    """The real loop, engine, slot and gate around a scripted camera and a recording line."""

    def __init__(self, bundle_dir: Path) -> None:
        bundle = open_bundle(bundle_dir)
        self.view = station_view(StationConfig(), SHAPE)
        self.engine = open_engine(bundle)
        self.slot = SlotStore(bundle_dir.parent, bundle).current("fp32", self.engine.runtime, self.view.view)
        self.engine.bind(self.slot.tensors)
        self.clock = ManualClock()
        self.line = RecordingLine("reject", True, self.clock)
        self.reject = self.free_line()
        self.verdicts: list[Verdict] = []
        self.lines: list[bool] = []

    def free_line(self) -> FreeLine:
        gate = RejectGate(200, 1000)
        return FreeLine(gate, RejectLine(self.line, gate, self.clock))

    def report(self, verdict: Verdict, seen: Seen, inference: Inference | None) -> None:
        assert seen.part_id == verdict.part_id
        assert (inference is None) == (verdict.scores is None)
        self.verdicts.append(verdict)
        self.lines.append(self.line.value)
        self.clock.advance_ms(300)  # longer than the reject pulse, so that each part is judged by its own verdict

    def loop(
        self,
        camera: Camera,
        reopen: Callable[[], Camera],
        report: Callable[[Verdict, Seen, Inference | None], None],
        slots: SlotWatcher | None = None,
    ) -> tuple[InspectionLoop, FreeFeed]:
        current = CurrentProduct(Product(BoundSlot(self.engine, self.slot), self.view, "fp32", slots))
        feed = FreeFeed(LastingCamera(camera, reopen, self.clock), current.preprocess, self.clock, read_timeout_ms=2000)
        return InspectionLoop(feed, current, self.reject, self.clock, 1000, report), feed

    def run(
        self,
        camera: Camera,
        reopen: Callable[[], Camera] | None = None,
        stop: threading.Event | None = None,
        frames: int | None = None,
    ) -> list[Outcome]:
        self.verdicts, self.lines = [], []
        loop, feed = self.loop(camera, reopen or (lambda: camera), self.report)
        loop.run(stop or threading.Event(), frames)
        feed.close()
        assert loop.counts.total() == len(self.verdicts)
        return [verdict.outcome for verdict in self.verdicts]


@pytest.fixture
def bench(calibrated_dir: Path) -> Iterator[Bench]:
    made = Bench(calibrated_dir)
    yield made
    made.reject.close()
    assert made.line.value is True
    made.engine.close()


GOOD, BAD, BLACK = part_image(3), part_image(3, defect=True), np.zeros((96, 96, 3), np.uint8)
PASS, REJECT, FAULT = Outcome.PASS, Outcome.REJECT, Outcome.FAULT


def test_each_frame_gets_one_verdict_and_the_line_follows(bench: Bench) -> None:
    assert bench.run(ScriptedCamera([GOOD, BAD, GOOD], bench.clock)) == [PASS, REJECT, PASS]
    assert bench.lines == [False, True, False]
    assert [verdict.part_id for verdict in bench.verdicts] == [0, 1, 2]
    verdict = bench.verdicts[1]
    assert verdict.margin is not None
    assert verdict.margin >= 0
    assert verdict.threshold == bench.slot.record.threshold
    assert verdict.calibration_serial == 1
    assert set(verdict.stage_ms) == {"capture", "preprocess", "engine", "decision"}


def test_nan_from_the_engine_is_a_fault_and_the_run_goes_on(bench: Bench) -> None:
    assert bench.run(ScriptedCamera([GOOD, BLACK, GOOD], bench.clock)) == [PASS, FAULT, PASS]
    assert bench.lines == [False, True, False]
    assert "not finite" in bench.verdicts[1].reason


def test_whatever_is_wrong_with_a_frame_is_a_fault_never_a_pass(bench: Bench) -> None:
    script: Script = [CameraTimeoutError("late"), np.zeros((4, 4), np.uint8), GOOD.astype(np.float32), GOOD]
    assert bench.run(ScriptedCamera(script, bench.clock)) == [FAULT, FAULT, FAULT, PASS]
    assert bench.lines == [True, True, True, False]
    assert bench.verdicts[0].scores is None
    assert bench.verdicts[0].exposed_ns is None


def test_an_engine_that_fails_is_a_fault(bench: Bench) -> None:
    bench.engine.close()
    assert bench.run(ScriptedCamera([GOOD, GOOD], bench.clock)) == [FAULT, FAULT]
    assert "is closed" in bench.verdicts[0].reason


def test_a_region_outside_the_picture_is_a_fault(bench: Bench) -> None:
    station = StationConfig.model_validate({"region": {"x": 90, "y": 0, "width": 64, "height": 64}})
    bench.view = station_view(station, SHAPE)
    assert bench.run(ScriptedCamera([GOOD], bench.clock)) == [FAULT]
    assert "reaches outside" in bench.verdicts[0].reason


def test_a_lost_camera_is_opened_again_until_it_is_back(bench: Bench) -> None:
    attempts: list[Exception | Camera] = [
        CameraOpenError("not yet"),
        CameraOpenError("not yet"),
        ScriptedCamera([GOOD], bench.clock),
    ]

    def reopen() -> Camera:
        attempt = attempts.pop(0)
        if isinstance(attempt, Exception):
            raise attempt
        return attempt

    first = ScriptedCamera([GOOD, CameraLostError("unplugged")], bench.clock)
    assert bench.run(first, reopen) == [PASS, FAULT, PASS]
    assert bench.lines == [False, True, False]
    with pytest.raises(CameraLostError):
        first.read(1)


def test_stop_and_frame_count_end_it(bench: Bench) -> None:
    stop = threading.Event()
    stop.set()
    assert bench.run(ScriptedCamera([GOOD], bench.clock), stop=stop) == []
    assert bench.run(ScriptedCamera([GOOD] * 5, bench.clock), frames=2) == [PASS, PASS]


def test_a_stop_while_the_camera_is_gone_ends_it(bench: Bench) -> None:
    stop = threading.Event()

    def reopen() -> Camera:
        stop.set()
        raise CameraOpenError("not yet")

    assert bench.run(ScriptedCamera([CameraLostError("unplugged")], bench.clock), reopen, stop) == [FAULT]


class DeadLine(RecordingLine):
    def _set_impl(self, value: bool) -> None:
        if not value:
            raise LineError("reject: the chip is gone")
        super()._set_impl(value)


def test_a_line_that_cannot_be_driven_ends_the_run(bench: Bench) -> None:
    bench.reject.close()
    bench.line = DeadLine("reject", True, bench.clock)
    bench.reject = bench.free_line()
    with pytest.raises(LineError, match="chip is gone"):
        bench.run(ScriptedCamera([GOOD], bench.clock))


def test_a_folder_is_inspected_in_order_with_its_broken_file_at_fault(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    for index, image in enumerate((GOOD, BAD, GOOD)):
        cv2.imwrite(str(folder / f"{index}.png"), image)
    content = (folder / "2.png").read_bytes()
    (folder / "2.png").write_bytes(content[: len(content) // 2])
    assert bench.run(ImageFolderCamera(folder, bench.clock)) == [PASS, REJECT, FAULT]
    assert "truncated" in bench.verdicts[2].reason


def test_a_picture_that_is_too_old_is_a_fault(bench: Bench) -> None:
    assert bench.run(ScriptedCamera([GOOD], bench.clock, age_ms=900)) == [PASS]
    assert bench.lines == [False]
    assert bench.run(ScriptedCamera([GOOD], bench.clock, age_ms=1100)) == [FAULT]
    assert "1100 ms old when decided, more than the 1000 allowed" in bench.verdicts[0].reason
    assert bench.lines == [True]


def test_what_nobody_foresaw_is_a_fault_too(bench: Bench) -> None:
    assert bench.run(ScriptedCamera([MemoryError("no memory"), GOOD], bench.clock)) == [FAULT, PASS]
    assert "unexpected MemoryError: no memory" in bench.verdicts[0].reason


def test_reads_that_fail_at_once_are_not_tried_without_pause(bench: Bench) -> None:
    """Each is a FAULT all the same; the pause grows to a second, and one good picture ends it."""
    began: list[int] = []

    class Failing(ScriptedCamera):
        def _read_impl(self, timeout_ms: int) -> tuple[object, int, str]:
            began.append(bench.clock.monotonic_ns())
            return super()._read_impl(timeout_ms)

    script: Script = [OSError("driver")] * 12 + [GOOD, OSError("driver"), GOOD]
    outcomes = bench.run(Failing(script, bench.clock))
    assert outcomes == [FAULT] * 12 + [PASS, FAULT, PASS]
    pauses_ms = (np.diff(began) / 1e6 - 300).round().tolist()  # the report takes 300 ms
    assert pauses_ms[:12] == [10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000, 1000, 1000]
    assert pauses_ms[12:14] == [0, 10]


def test_a_pause_ends_when_told_to_stop(bench: Bench) -> None:
    stop = threading.Event()

    class Failing(ScriptedCamera):
        def _read_impl(self, timeout_ms: int) -> tuple[object, int, str]:
            stop.set()
            raise OSError("driver")

    assert bench.run(Failing([], bench.clock), stop=stop) == [FAULT]


def test_region_and_mask_fit_one_size_of_picture(bench: Bench) -> None:
    station = StationConfig.model_validate({"region": {"x": 0, "y": 0, "width": 64, "height": 64}})
    bench.view = station_view(station, SHAPE).expecting((96, 96))
    assert bench.run(ScriptedCamera([GOOD, cv2.resize(GOOD, (128, 128))], bench.clock))[1] is FAULT
    assert "expected an image of 96×96 pixels" in bench.verdicts[1].reason
