"""Every engine that can run a bundle here, side by side: time, memory, size, energy and accuracy.

Each runs in a process of its own, and they take turns (A B A B), the order reversed every other round: what the machine does
besides hits all alike, and the ratio to FP32 is taken within a round. Quiet or not, ratios can be compared; milliseconds cannot.
"""

from __future__ import annotations

import argparse
import os
import platform
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from edge.bundle import Bundle, open_bundle
from edge.engines.build_observer import ConsoleObserver
from edge.engines.open_engine import EngineChoice, tensorrt_is_here
from edge.engines.open_tensorrt import CPU_ONLY
from edge.errors import EngineError
from edge.pictures.image_file import list_images
from edge.storage.durable_files import write_file
from edge.storage.locations import bundle_path, state_path, station_path
from tools.benchmark.board_power import BoardPower
from tools.benchmark.engine_process import EngineProcess
from tools.benchmark.engine_worker import Task
from tools.benchmark.engines_picture import engines_png
from tools.benchmark.labelled_set import open_labelled_set
from tools.benchmark.report_files import require_folder, write_report

NAME = "engines"
REFERENCE = "fp32"
TENSORRT_ONLY = "int8"
NOT_REPORTED = "not reported"
NONE = "–"
NOTES = """\
Engine: the engine alone. Call: resize, engine and decision; reading the picture is not in it. Ratio: of the call's median within a
round to that of fp32 on the same runtime in the same round, the median over rounds and, in brackets, its quartiles; milliseconds
are of a machine that may have done other things. Memory: the most the process had in RAM, the GPU's own not in it. File: the ONNX
model, and TensorRT's plan. Joules: the board's power while its engine ran, times the time of a call. AUROC: of L. Rejected good and
missed defective ones: at the threshold of the newest calibration for that precision and runtime; where there is none (marked *),
the bundle's start calibration is used, which has no threshold. ONNX Runtime's fp16 is there for checks only."""


@dataclass
class EngineFigures:
    """What was measured of one engine. times: rounds × calls × (engine, call), in ms. failure: why there is no more, or empty."""

    precision: str
    choice: EngineChoice
    opened: dict[str, Any] = field(default_factory=dict)
    rounds: list[list[tuple[float, float]]] = field(default_factory=list)
    peak_memory_mb: float | None = None
    joules: float | None = None
    accuracy: dict[str, Any] | None = None
    failure: str = ""

    @property
    def label(self) -> str:
        """Precision and runtime."""
        return f"{self.precision} on {self.opened.get('runtime', self.choice)}"

    def times(self) -> NDArray[np.float64]:
        """[rounds, calls, 2]: the engine's and the whole call's milliseconds."""
        return np.array(self.rounds, np.float64)

    def quantiles(self) -> dict[str, dict[str, float]]:
        """engine, call → p50, p99 in ms, over all calls."""
        times = self.times().reshape(-1, 2)
        return {
            what: {"p50": float(np.quantile(times[:, i], 0.5)), "p99": float(np.quantile(times[:, i], 0.99))}
            for i, what in enumerate(("engine", "call"))
        }

    def ratio(self, reference: EngineFigures) -> dict[str, float]:
        """Of the call, to ``reference``, paired by round: median, and quartiles over rounds."""
        mine, theirs = (np.median(one.times()[:, :, 1], axis=1) for one in (self, reference))
        low, middle, high = np.quantile(mine / theirs, [0.25, 0.5, 0.75])
        return {"median": float(middle), "low": float(low), "high": float(high)}


@dataclass(frozen=True)
class EngineBenchmark:
    """All engines, in the order of the table."""

    engines: list[EngineFigures]
    calls: int
    machine: str
    rails: list[str]

    @property
    def measured(self) -> list[EngineFigures]:
        """Those that ran to the end."""
        return [one for one in self.engines if not one.failure]

    @property
    def failures(self) -> list[EngineFigures]:
        """The others."""
        return [one for one in self.engines if one.failure]

    def ratio(self, one: EngineFigures) -> dict[str, float] | None:
        """To fp32 on the same runtime; None where that was not measured."""
        references = (other for other in self.measured if (other.precision, other.choice) == (REFERENCE, one.choice))
        reference = next(references, None)
        return one.ratio(reference) if reference is not None else None

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "machine": self.machine,
            "calls_a_round": self.calls,
            "power_rails": self.rails,
            "engines": [
                {
                    "precision": one.precision,
                    "engine": one.choice,
                    **one.opened,
                    "rounds": len(one.rounds),
                    "milliseconds": one.quantiles(),
                    "ratio_to_fp32": self.ratio(one),
                    "peak_memory_mb": one.peak_memory_mb,
                    "joules": one.joules,
                    "accuracy": one.accuracy,
                }
                for one in self.measured
            ],
            "failures": [{"precision": one.precision, "engine": one.choice, "why": one.failure} for one in self.failures],
        }

    def table(self) -> Table:
        """For people."""
        table = Table(title=self.machine, caption="\n".join(f"{one.label} failed: {one.failure}" for one in self.failures) or None)
        headings = (
            "precision", "runtime", "engine ms\np50 / p99", "call ms\np50 / p99", "ratio to fp32", "peak\nMB", "file MB",
            "joules\na part", "AUROC\nL", "rejected\ngood", "missed",
        )  # fmt: skip
        for heading in headings:
            justify: Literal["left", "right"] = "left" if heading in headings[:2] else "right"
            table.add_column(heading, justify=justify, overflow="fold", no_wrap=heading.startswith("ratio"))
        for one in self.measured:
            times, ratio = one.quantiles(), self.ratio(one)
            megabytes = [one.opened["model_bytes"], *filter(None, [one.opened["plan_bytes"]])]
            table.add_row(
                one.precision, one.opened["runtime"] + (" (degraded)" if one.opened["degraded"] else ""),
                *(f"{times[what]['p50']:.2f} / {times[what]['p99']:.2f}" for what in ("engine", "call")),
                f"{ratio['median']:.2f} [{ratio['low']:.2f}…{ratio['high']:.2f}]" if ratio else NONE,
                f"{one.peak_memory_mb:.0f}", " + ".join(f"{size / 1e6:.2f}" for size in megabytes),
                NOT_REPORTED if one.joules is None else f"{one.joules:.3f}", *_accuracy_cells(one),
            )  # fmt: skip
        return table

    def write(self, out: Path) -> None:
        """engines.json, .md and .png in ``out``; raises OutputError."""
        table = self.table()
        write_report(out, NAME, self.to_json(), [table], "\n\n".join(filter(None, [str(table.caption or ""), NOTES])))
        ratios = [self.ratio(one) for one in self.measured]
        labels, times = [one.label for one in self.measured], [one.quantiles()["call"] for one in self.measured]
        write_file(out / f"{NAME}.png", engines_png(labels, times, ratios, self.machine))


def measure_engines(options: argparse.Namespace, images: Path, console: Console) -> EngineBenchmark:
    """Measure as the flags of ``edge-bench engines`` say. Raises InputError; EngineError where no engine could be measured."""
    bundle = open_bundle(bundle_path(options.bundle))
    if options.labelled is not None:
        open_labelled_set(options.labelled)
    list_images(images)
    if options.out is not None:
        require_folder(options.out)
    power = BoardPower()
    engines = [EngineFigures(*one) for one in contenders(bundle, tensorrt_is_here(ConsoleObserver(console)))]
    with ExitStack() as stack, Progress(console=console, transient=True) as bars:
        task = bars.add_task("opening", total=len(engines) * (options.rounds + 1))
        running: list[tuple[EngineFigures, EngineProcess]] = []
        for one in engines:
            setup = Task(
                bundle.path, state_path(options.state, bundle.path), station_path(options.station), images, options.labelled,
                one.precision, one.choice, options.threads, options.image_memory,
            )  # fmt: skip
            try:
                if one.choice == "tensorrt":  # building a plan takes memory that running it does not
                    EngineProcess(setup).close()
                process = stack.enter_context(EngineProcess(setup, power))
            except EngineError as error:
                one.failure = str(error)
                continue
            one.opened = process.opened
            running.append((one, process))
            bars.advance(task)
        for number in range(options.rounds):
            bars.update(task, description=f"round {number + 1} of {options.rounds}")
            for one, process in running if number % 2 else running[::-1]:
                _ask(one, process, "round", options.calls)
                bars.advance(task)
        for one, process in running:
            bars.update(task, description=f"accuracy of {one.label}")
            _ask(one, process, "memory")
            _ask(one, process, "accuracy")
    result = EngineBenchmark(engines, options.calls, machine(options.threads), power.rails)
    if not result.measured:
        raise EngineError("; ".join(one.failure for one in engines))
    if options.out is not None:
        result.write(options.out)
    return result


def contenders(bundle: Bundle, tensorrt: bool) -> list[tuple[str, EngineChoice]]:
    """What can run here: precision and engine, fp32 first."""
    precisions = sorted(bundle.precisions(), key=lambda one: (one != REFERENCE, one))
    found: list[tuple[str, EngineChoice]] = [(one, "onnxruntime") for one in precisions if one != TENSORRT_ONLY]
    return found + [(one, "tensorrt") for one in precisions if tensorrt and not one.endswith(CPU_ONLY)]


def machine(threads: int) -> str:
    """The processor, its cores, and how busy it was in the last minute."""
    names = [line.partition(":")[2].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")]
    board = [line.rstrip("\0") for line in _lines(Path("/proc/device-tree/model"))]
    cores = len(os.sched_getaffinity(0))
    which = f"{cores} cores" if not threads else f"{threads} threads on {cores} cores"
    return f"{(board or names or [platform.machine()])[0]}, {which}, load {os.getloadavg()[0]:.1f}"


def _ask(one: EngineFigures, process: EngineProcess, question: str, *arguments: object) -> None:
    """Keep the answer in ``one``; an engine that fails is left out from then on."""
    if one.failure:
        return
    try:
        answer = process.ask(question, *arguments)
    except EngineError as error:
        one.failure = str(error)
        return
    if question == "round":
        one.rounds.append(answer)
        if process.watts:
            one.joules = float(np.mean(process.watts) * one.times()[:, :, 1].mean() / 1e3)
    elif question == "memory":
        one.peak_memory_mb = answer
    else:
        one.accuracy = answer


def _accuracy_cells(one: EngineFigures) -> tuple[str, str, str]:
    if one.accuracy is None:
        return NONE, NONE, NONE
    auroc = f"{one.accuracy['auroc']:.4f}"
    if "good" not in one.accuracy:
        return f"{auroc} *", NONE, NONE
    counts = one.accuracy
    return auroc, f"{counts['false_rejects']} of {counts['good']}", f"{counts['misses']} of {counts['defective']}"


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
