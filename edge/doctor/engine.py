"""The engine: does it open, score as it did where the bundle was made, and in time?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console

from edge.bundle import Bundle, load_picture
from edge.clock import Clock
from edge.doctor.finding import Findings
from edge.engines.build_observer import ConsoleObserver
from edge.engines.open_engine import open_engine
from edge.slots.calibration_slot import CalibrationSlot
from edge.station_config import StationConfig

RUNS = 20
TIGHT_SHARE = 0.5
"""Of the deadline: taking and preparing the picture takes the rest."""


def check_engine(
    bundle: Bundle, slot: CalibrationSlot | None, state: Path, station: StationConfig | None, clock: Clock, findings: Findings
) -> None:
    """Open it for the calibrated precision, score the bundle's and the slot's reference images, and take the time."""
    with findings.of("engine"):
        precision = slot.record.precision if slot is not None else "fp32"
        observer = ConsoleObserver(Console(stderr=True))
        with open_engine(bundle, precision, state=state, observer=observer, clock=clock) as engine:
            if engine.degraded:
                findings.warning("engine", engine.degraded, "run: edge-build")
            bundle.self_test(engine, precision)
            words = f"{engine.runtime}, {precision}: {len(bundle.manifest.reference_images)} reference images score as recorded"
            if slot is not None and slot.record.runtime != engine.runtime:
                findings.failed(
                    "engine", f"is {engine.runtime}, calibration {slot.record.serial} was made on {slot.record.runtime}",
                    "calibrate again",
                )  # fmt: skip
                return
            if slot is not None:
                engine.bind(slot.tensors)
                slot.self_test(engine)
                words += f", and those of calibration {slot.record.serial}"
            findings.ok("engine", words)
            shape = bundle.manifest.graph
            names = [one.file for one in bundle.manifest.reference_images]
            picture = load_picture(bundle.path / names[0]) if names else np.full((shape.height, shape.width, 3), 128, np.uint8)
            times = []
            for _ in range(RUNS):
                begun = clock.monotonic_ns()
                engine.infer(picture)
                times.append((clock.monotonic_ns() - begun) / 1e6)
        _tell_time(sorted(times), station, findings)


def _tell_time(times_ms: list[float], station: StationConfig | None, findings: Findings) -> None:
    median, worst = times_ms[len(times_ms) // 2], times_ms[-1]
    words = f"{median:.1f} ms a picture, at most {worst:.1f} of {len(times_ms)}"
    if station is None or station.trigger.kind == "free":
        findings.ok("engine time", words)
        return
    deadline = station.timing.deadline_ms
    words += f"; the deadline is {deadline} ms"
    remedy = "a faster precision (edge-export --precision fp16, then calibrate), the highest power mode, or a longer deadline_ms"
    if median >= deadline:
        findings.failed("engine time", words, remedy)
    elif worst >= TIGHT_SHARE * deadline:
        findings.warning("engine time", words, remedy)
    else:
        findings.ok("engine time", words)
