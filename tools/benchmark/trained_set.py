"""One set through the chain, as its commands do it: train, export, calibrate; what stands already is not trained again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx
from rich.console import Console

from calibration.cli import main as calibrate
from edge.bundle import Bundle, open_bundle
from edge.clock import SystemClock
from edge.engines.base import Engine
from edge.engines.open_engine import EngineChoice, open_engine
from edge.engines.tensorrt_pycuda import ImageMemory
from edge.errors import BundleError, EdgeInspectError
from edge.line.station_view import StationView, station_view
from edge.slots.calibration_slot import CalibrationSlot, SlotStore
from edge.station_config import load_station
from edge.storage.durable_files import write_file
from edge.storage.locations import station_path
from tools.cost_model import GraphCost, graph_cost
from tools.export_onnx import export_bundle
from trainer import checkpoint
from trainer.train_config import TrainConfig
from trainer.training_run import train

SECONDS = "training_seconds.txt"


class CalibrationFailedError(EdgeInspectError):
    """``calibrate`` did not succeed; it has said why, and its exit code is this error's."""

    def __init__(self, images: Path, exit_code: int) -> None:
        super().__init__(f"{images}: the calibration failed; the line above says why")
        self.exit_code = exit_code


@dataclass(frozen=True)
class Settings:
    """The same for every set. station: None looks where edge-inspect would. threads: of the engine, 0 is the runtime's choice."""

    config: TrainConfig
    station: Path | None = None
    precision: str = "fp32"
    threads: int = 0
    engine: EngineChoice = "auto"
    image_memory: ImageMemory = "copied"


@dataclass(frozen=True)
class TrainedSet:
    """A calibrated bundle, its slots in ``state``. training_seconds: None where the training was cut off and resumed."""

    bundle: Bundle
    state: Path
    settings: Settings
    training_seconds: float | None
    cost: GraphCost

    @contextmanager
    def opened(self) -> Iterator[tuple[Engine, StationView, CalibrationSlot]]:
        """The engine, bound to the active slot, and the view to use it with."""
        settings = self.settings
        view = station_view(load_station(station_path(settings.station)), self.bundle.manifest.graph)
        with open_engine(
            self.bundle, settings.precision, settings.threads, choice=settings.engine, state=self.state,
            image_memory=settings.image_memory,
        ) as engine:  # fmt: skip
            slot = SlotStore(self.state, self.bundle).current(settings.precision, engine.runtime, view.view)
            engine.bind(slot.tensors)
            yield engine, view, slot


def train_set(images: Path, folder: Path, settings: Settings, console: Console) -> TrainedSet:
    """Train on ``images``/train/good, export, and calibrate with the same images, all in ``folder``.

    A finished run there is kept, and a bundle made of it; the calibration is always made anew. Raises InputError, also where
    ``folder`` holds a run with another configuration or other images, ParityError and CalibrationFailedError.
    """
    run = folder / "run"
    seconds = _train(images, run, settings.config, console)
    _, record = checkpoint.load(run)
    bundle = _bundle(run, folder / "bundle", record.weights_sha256, console)
    flags = ["--state", str(folder), "--precision", settings.precision, "--threads", str(settings.threads)]
    flags += ["--engine", settings.engine, "--image-memory", settings.image_memory]
    if settings.station is not None:
        flags += ["--station", str(settings.station)]
    normal = images / "train" / "good"
    if code := calibrate([str(normal), "--bundle", str(bundle.path), *flags]):
        raise CalibrationFailedError(normal, code)
    return TrainedSet(bundle, folder, settings, seconds, graph_cost(onnx.load(bundle.model_path())))


def _train(images: Path, run: Path, config: TrainConfig, console: Console) -> float | None:
    """Seconds of the whole training, reading the images included; kept beside the run for later calls."""
    clock, note = SystemClock(), run / SECONDS
    is_new = not (run / checkpoint.RUN).is_file()
    start = clock.monotonic_ns()
    train(images, run, config, console)
    if is_new:
        write_file(note, f"{(clock.monotonic_ns() - start) / 1e9:.1f}\n".encode())
    return float(note.read_text(encoding="utf-8")) if note.is_file() else None


def _bundle(run: Path, path: Path, weights_sha256: str, console: Console) -> Bundle:
    """The bundle at ``path`` where it is whole and of these weights, else a new one there."""
    try:
        bundle = open_bundle(path)
        if bundle.manifest.training.get("weights_sha256") == weights_sha256:
            return bundle
    except BundleError:
        pass  # none yet, or one that this version does not read
    shutil.rmtree(path, ignore_errors=True)
    console.print("exporting …")
    export_bundle(run, path)
    return open_bundle(path)
