"""Parts a second of the overlapped stages, against what the engine alone does: free running on a folder, records on disk."""

from __future__ import annotations

import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from edge.cameras.base import Camera
from edge.cameras.image_folder import ImageFolderCamera
from edge.cameras.lasting_camera import LastingCamera
from edge.clock import Clock, SystemClock
from edge.engines.base import Engine, Inference
from edge.errors import EndOfStream, FrameError
from edge.gpio.recording import RecordingLine
from edge.inspection_loop import InspectionLoop
from edge.line.part_feed import AheadFeed, FreeFeed, Seen
from edge.line.part_line import FreeLine
from edge.line.reject_gate import RejectGate
from edge.line.reject_line import RejectLine
from edge.line.station_view import StationView
from edge.pictures.image_file import list_images, read_image
from edge.products.product import CurrentProduct, Product
from edge.records.keeping import Keeping
from edge.records.records_config import ArchiveConfig
from edge.records.verdict_log import VerdictLog
from edge.slots.bound_slot import BoundSlot
from edge.slots.calibration_slot import CalibrationSlot
from edge.station_config import StationConfig
from edge.verdict import Verdict

ROUNDS = 10
WARM_UP = 3
PICTURES = 16


@dataclass(frozen=True)
class Throughput:
    """Per second, medians of rounds in which both took turns; ``share`` is the median of the rounds' own ratios."""

    engine_per_second: float
    parts_per_second: float
    share: float
    rounds: int

    def to_json(self) -> dict[str, float]:
        """Plain values."""
        return asdict(self)

    def describe(self) -> str:
        """In words."""
        return (
            f"overlapped, with records on disk: {self.parts_per_second:.1f} parts a second, {self.share:.2f} of the engine's own "
            f"{self.engine_per_second:.1f} (median of {self.rounds} rounds)"
        )


def measure_throughput(engine: Engine, view: StationView, slot: CalibrationSlot, images: Path, frames: int) -> Throughput:
    """``frames`` images of ``images`` each way, in ROUNDS turns. Raises CameraOpenError, ImageError where there are none to use."""
    clock, current = SystemClock(), CurrentProduct(Product(BoundSlot(engine, slot), view, slot.record.precision))
    prepared = [current.preprocess(read_image(path).image) for path in list_images(images)[:PICTURES]]
    each = max(WARM_UP + 2, frames // ROUNDS)
    alone, together = [], []
    with ExitStack() as stack:
        state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="throughput-")))
        log = VerdictLog((state / "verdicts.jsonl").open("w", encoding="ascii"), owned=True)
        stack.callback(log.close)
        kept = Keeping(StationConfig(archive=ArchiveConfig(budget_mb=100)), state, True, log, clock, lambda _: None)
        stack.callback(kept.close)
        gate = RejectGate(200, 1000)
        reject = RejectLine(RecordingLine("reject line (recording)", True, clock), gate, clock, first=True)
        line = FreeLine(gate, reject)
        stack.callback(line.close)
        first = kept.first_part_id
        for _ in range(ROUNDS):
            alone.append(_alone(engine, prepared, each))
            together.append(_together(current, images, line, kept, clock, each, first))
            first += 2 * each
    ratios = np.array(together) / np.array(alone)
    return Throughput(float(np.median(alone)), float(np.median(together)), float(np.median(ratios)), ROUNDS)


def _alone(engine: Engine, prepared: list[np.ndarray], count: int) -> float:
    started = time.monotonic()
    for i in range(count):
        engine.infer(prepared[i % len(prepared)])
    return count / (time.monotonic() - started)


def _together(
    current: CurrentProduct, images: Path, line: FreeLine, kept: Keeping, clock: Clock, count: int, first_part_id: int
) -> float:
    judged: list[int] = []

    def report(verdict: Verdict, seen: Seen, inference: Inference | None) -> None:
        kept.verdict(verdict, seen, inference, current.product, final=True)
        judged.append(clock.monotonic_ns())

    camera = EndlessFolder(images, clock)
    stop = threading.Event()
    feed = AheadFeed(FreeFeed(LastingCamera(camera, lambda: camera, clock), current.preprocess, clock, 2000, first_part_id), stop)
    try:
        InspectionLoop(feed, current, line, clock, 1000, report).run(stop, WARM_UP + count)
    finally:
        stop.set()
        feed.close()
    return count / ((judged[-1] - judged[WARM_UP - 1]) / 1e9)


class EndlessFolder(Camera):
    """A folder of images, again from the start at its end."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        self._images = ImageFolderCamera(folder, clock)
        super().__init__(self._images.name)

    def _read_impl(self, timeout_ms: int) -> tuple[object, int, str]:
        for _ in range(2):
            try:
                frame = self._images.read(timeout_ms)
                return frame.image, frame.exposed_ns, frame.source
            except EndOfStream:
                self._images = ImageFolderCamera(self._folder, self._clock)
        raise FrameError(f"{self.name}: no image there can be read; give a folder with whole images")

    def _close_impl(self) -> None:
        self._images.close()
