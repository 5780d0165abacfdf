"""What one frame costs in the real inspection loop, stage by stage, one frame at a time; then how many a second, overlapped."""

from __future__ import annotations

import io
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from edge.cameras.base import Camera
from edge.cameras.image_folder import ImageFolderCamera
from edge.cameras.lasting_camera import LastingCamera
from edge.clock import SystemClock
from edge.engines.base import Engine, Inference
from edge.errors import ImageError
from edge.gpio.recording import RecordingLine
from edge.inspection_loop import InspectionLoop
from edge.line.part_feed import FreeFeed, Seen
from edge.line.part_line import FreeLine
from edge.line.reject_gate import RejectGate
from edge.line.reject_line import RejectLine
from edge.line.station_view import StationView
from edge.products.product import CurrentProduct, Product
from edge.records.verdict_log import VerdictLog
from edge.slots.bound_slot import BoundSlot
from edge.slots.calibration_slot import CalibrationSlot
from edge.verdict import Verdict
from tools.benchmark.peak_memory import peak_memory_mb
from tools.benchmark.throughput import Throughput, measure_throughput

WARM_UP = 10
STAGES = ("decode", "preprocess", "engine", "decision", "rest", "whole")


@dataclass(frozen=True)
class Latency:
    """milliseconds: stage → (p50, p99). "rest" is what is left of the whole: reading the clock, line, record."""

    milliseconds: dict[str, tuple[float, float]]
    frames: int
    outside_engine: float
    peak_memory_mb: float
    imports_torch: bool
    throughput: Throughput

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "frames": self.frames,
            "milliseconds": {stage: {"p50": p50, "p99": p99} for stage, (p50, p99) in self.milliseconds.items()},
            "outside_engine": self.outside_engine,
            "peak_memory_mb": self.peak_memory_mb,
            "imports_torch": self.imports_torch,
            "throughput": self.throughput.to_json(),
        }

    def table(self) -> Table:
        """For people."""
        table = Table(
            title=f"{self.frames} frames; decision and rest cost {self.outside_engine:.1%} of the engine; "
            f"peak memory {self.peak_memory_mb:.0f} MB; torch {'IS' if self.imports_torch else 'is not'} imported",
            caption=self.throughput.describe(),
        )
        for heading in ("stage", "p50 ms", "p99 ms"):
            table.add_column(heading, justify="left" if heading == "stage" else "right")
        for stage, (p50, p99) in self.milliseconds.items():
            table.add_row(stage, f"{p50:.3f}", f"{p99:.3f}")
        return table


def measure_latency(engine: Engine, view: StationView, slot: CalibrationSlot, images: Path, frames: int) -> Latency:
    """Inspect ``frames`` images of ``images``, again from the start at its end, with the recording line; the first 10 do not count.

    Raises CameraOpenError where the folder has no images.
    """
    clock = SystemClock()
    verdicts: list[tuple[Verdict, int]] = []
    log = VerdictLog(io.StringIO())
    gate = RejectGate(200, 1000)
    line = FreeLine(gate, RejectLine(RecordingLine("reject line (recording)", True, clock), gate, clock))
    current = CurrentProduct(Product(BoundSlot(engine, slot), view, slot.record.precision))

    def report(verdict: Verdict, _seen: Seen, _inference: Inference | None) -> None:
        log.add(verdict)
        verdicts.append((verdict, clock.monotonic_ns()))

    def camera() -> Camera:
        return ImageFolderCamera(images, clock)

    try:
        while len(verdicts) < frames + WARM_UP:
            left = frames + WARM_UP - len(verdicts)
            feed = FreeFeed(LastingCamera(camera(), camera, clock), current.preprocess, clock, 2000)
            InspectionLoop(feed, current, line, clock, 1000, report).run(threading.Event(), left)
    finally:
        line.close()
        log.close()
    rows = []
    for verdict, reported_ns in verdicts[WARM_UP:]:
        stages = verdict.stage_ms
        if "decision" not in stages:
            continue  # a broken file is a FAULT, and says nothing of the engine
        whole = (reported_ns - verdict.trigger_ns) / 1e6
        known = [stages["capture"], stages["preprocess"], stages["engine"], stages["decision"]]
        rows.append([*known, whole - sum(known), whole])
    if not rows:
        raise ImageError(f"{images}: no image there could be inspected; give a folder with whole images")
    table = np.array(rows)
    p50, p99 = np.quantile(table, 0.5, axis=0), np.quantile(table, 0.99, axis=0)
    memory_mb = peak_memory_mb()
    return Latency(
        milliseconds={stage: (float(p50[i]), float(p99[i])) for i, stage in enumerate(STAGES)},
        frames=len(rows),
        outside_engine=float(np.median((table[:, 3] + table[:, 4]) / table[:, 2])),
        peak_memory_mb=memory_mb,
        imports_torch="torch" in sys.modules,
        throughput=measure_throughput(engine, view, slot, images, frames),
    )
