"""How much of the engine's own rate is left of it at the line, and how long a change before the camera takes to the reject line."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from edge.bundle import open_bundle
from edge.engines.onnx_runtime import OnnxRuntimeEngine
from edge.frame import Image
from edge.preprocess import preprocess
from edge.slots.calibration_slot import SlotStore
from tests.hil.inside.chip import Chip
from tests.hil.inside.inspector import Inspector
from tests.hil.inside.line_watch import LineWatch
from tests.hil.inside.station import free
from tests.hil.inside.virtual_camera import VirtualCamera

CHANGES = 7
RUNS = 15
SECONDS = 10.0


def engine_s(folder: Path, image: Image) -> float:
    """Median seconds of the engine alone, on this machine, with the active calibration."""
    bundle = open_bundle(folder / "bundle")
    graph = bundle.manifest.graph
    with OnnxRuntimeEngine(bundle.path / "model.fp32.onnx", graph) as engine:
        slot = SlotStore(folder, bundle).load(1)
        engine.bind(slot.tensors)
        prepared = preprocess(image, graph.height, graph.width)
        times = []
        for _ in range(RUNS):
            began = time.perf_counter()
            engine.infer(prepared)
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def test_the_whole_chain_as_ratios_to_the_engine(
    camera: VirtualCamera, chip: Chip, lines: LineWatch, inspect: Callable[..., Inspector], folder: Path,
    good: list[Image], bad: list[Image],
) -> None:  # fmt: skip
    alone_s = engine_s(folder, good[0])
    inspector = inspect(free(camera={"max_age_ms": 5000}, pass_valid_ms=5000), "--camera", camera.number)
    inspector.until("pass", lambda: chip.level("reject"))
    first, began = len(inspector.verdicts), time.monotonic()
    time.sleep(SECONDS)
    chain_s = (time.monotonic() - began) / (len(inspector.verdicts) - first)
    took = []
    for _ in range(CHANGES):
        changed_ns = camera.show_at_once(bad)
        fell = lines.wait_for("reject", False, changed_ns, 10)
        took.append((fell.at_ns - changed_ns) / 1e9)
        changed_ns = camera.show_at_once(good)
        lines.wait_for("reject", True, changed_ns, 10)
    assert inspector.stop() == 0
    figures = {
        "chain's rate / engine's own rate": round(alone_s / chain_s, 2),
        "scene change to reject line / engine's own time": round(statistics.median(took) / alone_s, 1),
        "the same, slowest": round(max(took) / alone_s, 1),
    }
    print(json.dumps(figures))
    # One core for the engine, the camera's feed and the kernel's copies: what is asserted is only that nothing waits for nothing.
    assert figures["chain's rate / engine's own rate"] > 0.15
    assert figures["scene change to reject line / engine's own time"] < 20
