"""One engine in a process of its own: what it answers to the benchmark that started it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from edge.bundle import Bundle, open_bundle
from edge.decision import decide
from edge.engines.base import Engine
from edge.engines.open_engine import EngineChoice, open_engine
from edge.engines.plan_cache import PlanCache
from edge.engines.tensorrt_pycuda import ImageMemory
from edge.errors import ImageError
from edge.frame import Image
from edge.line.station_view import StationView, station_view
from edge.pictures.image_file import list_images, read_image
from edge.slots.calibration_slot import CalibrationSlot, SlotStore
from edge.station_config import load_station
from tools.auroc import auroc
from tools.benchmark.accuracy import ALL, measure_accuracy
from tools.benchmark.labelled_set import LabelledSet, open_labelled_set
from tools.benchmark.peak_memory import peak_memory_mb

MOST_PICTURES = 32
"""Decoded beforehand and used in turn."""
WARM_UP = 5


@dataclass(frozen=True)
class Task:
    """What to open; the same for every engine but ``precision`` and ``choice``. station, labelled: None for none."""

    bundle: Path
    state: Path
    station: Path | None
    images: Path
    labelled: Path | None
    precision: str
    choice: EngineChoice
    threads: int
    image_memory: ImageMemory


def work(connection: Connection, task: Task) -> None:
    """Open the engine of ``task`` and answer until the other end closes; any error is sent as ("error", one line)."""
    try:
        bundle = open_bundle(task.bundle)
        with open_engine(
            bundle, task.precision, task.threads, choice=task.choice, state=task.state, image_memory=task.image_memory
        ) as engine:  # fmt: skip
            worker = _Worker(task, bundle, engine)
            connection.send(("opened", worker.opened()))
            answers: dict[str, Callable[..., Any]] = {"round": worker.round, "memory": peak_memory_mb, "accuracy": worker.accuracy}
            while True:
                question, *arguments = connection.recv()
                connection.send((question, answers[question](*arguments)))
    except (EOFError, KeyboardInterrupt, BrokenPipeError):
        return
    except Exception as error:  # the benchmark goes on with the others and says why this one is missing
        connection.send(("error", " ".join(str(error).split()) or type(error).__name__))


class _Worker:
    def __init__(self, task: Task, bundle: Bundle, engine: Engine) -> None:
        self._task, self._bundle, self._engine = task, bundle, engine
        self._view: StationView = station_view(load_station(task.station), bundle.manifest.graph)
        slots = SlotStore(task.state, bundle).calibrated_for(task.precision, self._view.view)
        self._slot: CalibrationSlot | None = next((one for one in slots if one.record.runtime == engine.runtime), None)
        engine.bind(self._slot.tensors if self._slot is not None else bundle.start_calibration())
        self._threshold = self._slot.record.threshold if self._slot is not None else 1.0  # its value costs no time
        self._pictures = [read_image(path).image for path in list_images(task.images)[:MOST_PICTURES]]
        self._next = 0
        self.round(WARM_UP)
        self._next = 0

    def opened(self) -> dict[str, Any]:
        """What runs: runtime, what it stands in for, bytes of the model and of the plan, serial of the calibration or None."""
        bundle, precision = self._bundle, self._task.precision
        sha256 = bundle.model_sha256(precision)
        plans = PlanCache(self._task.state).all() if self._task.choice == "tensorrt" else []
        records = [plan.record for plan in plans if (plan.record.key.onnx_sha256, plan.record.key.precision) == (sha256, precision)]
        return {
            "runtime": self._engine.runtime,
            "degraded": self._engine.degraded,
            "model_bytes": bundle.model_path(precision).stat().st_size,
            "plan_bytes": records[0].plan_bytes if records else None,
            "calibration_serial": self._slot.record.serial if self._slot is not None else None,
        }

    def round(self, calls: int) -> list[tuple[float, float]]:
        """Milliseconds of the engine alone and of the whole call (resize, engine, decision), of each of ``calls`` in a row."""
        times = []
        for _ in range(calls):
            picture: Image = self._pictures[self._next % len(self._pictures)]
            self._next += 1
            start = time.perf_counter_ns()
            image = self._view.preprocess(picture)
            ready = time.perf_counter_ns()
            scores = self._engine.infer(image).scores
            done = time.perf_counter_ns()
            decide(scores, self._threshold)
            end = time.perf_counter_ns()
            times.append(((done - ready) / 1e6, (end - start) / 1e6))
        return times

    def accuracy(self) -> dict[str, Any] | None:
        """AUROC of L, and the errors at the threshold where this engine is calibrated; None without labelled images."""
        if self._task.labelled is None:
            return None
        labelled = open_labelled_set(self._task.labelled)
        if self._slot is None:
            return {"auroc": self._auroc(labelled)}
        accuracy = measure_accuracy(self._engine, self._view, self._slot, labelled, lambda: None)
        return {
            "auroc": accuracy.auroc[ALL]["L"],
            "false_rejects": accuracy.false_rejects,
            "good": accuracy.good,
            "misses": accuracy.misses[ALL],
            "defective": accuracy.images[ALL],
        }

    def _auroc(self, labelled: LabelledSet) -> float:
        """Of L by the bundle's start calibration, which has no threshold."""
        defective = [one.path for group in labelled.defects.values() for one in group]
        return auroc(self._scores(labelled.good), self._scores(defective))

    def _scores(self, paths: list[Path]) -> list[float]:
        scores = []
        for path in paths:
            one = self._engine.infer(self._view.preprocess(read_image(path).image)).scores
            if not one.finite():
                raise ImageError(f"{path}: the engine gave a score that is not finite; remove the image, or rebuild the engine")
            scores.append(one.score)
        return scores
