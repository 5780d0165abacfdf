"""edge-build: TensorRT plans of a bundle, built on the device that will run them, and checked by its reference images."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from edge.bundle import Bundle, open_bundle
from edge.clock import SystemClock
from edge.console.exit_code import reported
from edge.console.flags import whole_number
from edge.engines.build_observer import ConsoleObserver
from edge.engines.cuda_device import CudaDevice
from edge.engines.open_tensorrt import CPU_ONLY, open_tensorrt, plan_key
from edge.engines.plan_cache import PlanCache, PlanKey, StoredPlan, age_in_words
from edge.engines.tensorrt_builder import BuildSettings
from edge.engines.tensorrt_import import one_line
from edge.errors import EXIT_FAILED, BuildStoppedError, ConfigError, EdgeInspectError
from edge.storage.locations import bundle_path, state_path
from edge.supervision.stop_signals import StopSignals

DEFAULTS = BuildSettings()


@dataclass(frozen=True, slots=True)
class Built:
    """What became of one precision: its stored plan, or why there is none; ``fresh`` where it was built just now."""

    precision: str
    plan: StoredPlan | None
    fresh: bool
    trouble: str


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    with reported("edge-build", console) as outcome, StopSignals() as signals:
        try:
            outcome.code = _build(options, console, signals.stop)
        except BuildStoppedError:
            raise KeyboardInterrupt from None
    return outcome.code


def _build(options: argparse.Namespace, console: Console, stop: threading.Event) -> int:
    bundle = open_bundle(bundle_path(options.bundle))
    state = state_path(options.state, bundle.path)
    precisions = _precisions(options.precision, bundle)
    settings = BuildSettings(options.workspace_mb, options.optimization_level)
    with CudaDevice() as device:
        keys = [plan_key(bundle, precision, device, settings) for precision in precisions]
    with _observed(console, stop) as observer:
        results = [_one(bundle, key, state, settings, options.force, observer) for key in keys]
    console.print(_table(results, bundle, keys[0]), highlight=False)
    if options.prune:
        _prune(bundle, keys[0], PlanCache(state), observer)
    failed = [one for one in results if one.plan is None]
    for one in failed:
        console.print(f"edge-build: {one.precision}: {one.trouble}", style="red", markup=False, highlight=False, soft_wrap=True)
    return EXIT_FAILED if failed else 0


def _one(bundle: Bundle, key: PlanKey, state: Path, settings: BuildSettings, force: bool, observer: _Bars) -> Built:
    """Build one plan, or check the one that is there; what goes wrong with it does not keep the others from being built."""
    cache, precision = PlanCache(state), key.precision
    observer.begin(precision)
    try:
        before = cache.find(key)
        with open_tensorrt(bundle, precision, state, observer, settings=settings, rebuild=force) as engine:
            if engine.degraded:
                return Built(precision, None, False, f"not built; edge-inspect would run {engine.degraded}")
        plan = cache.find(key)
    except (BuildStoppedError, ConfigError):
        raise
    except EdgeInspectError as error:
        return Built(precision, None, False, one_line(error))
    if plan is None:
        return Built(precision, None, False, f"works, and could not be kept in {cache.folder}; see above")
    return Built(precision, plan, before is None or before.record != plan.record, "")


def _prune(bundle: Bundle, key: PlanKey, cache: PlanCache, observer: _Bars) -> None:
    models = {bundle.model_sha256(one) for one in bundle.precisions()}
    with cache.building(observer, SystemClock()):
        removed = cache.prune(key, models)
    observer.say(f"pruned {len(removed)} from {cache.folder}")


def _precisions(wanted: str | None, bundle: Bundle) -> list[str]:
    """Those to build; raises BundleError for one that the bundle has no model of."""
    if wanted is None:
        return [one for one in bundle.precisions() if not one.endswith(CPU_ONLY)]
    chosen = list(dict.fromkeys(one.strip() for one in wanted.split(",") if one.strip()))
    if not chosen:
        raise ConfigError(
            f"--precision {wanted!r}: expected names by commas, such as fp16,int8; the bundle has {bundle.precisions()}"
        )
    for one in chosen:
        bundle.model_path(one)
        if one.endswith(CPU_ONLY):
            raise ConfigError(f"--precision {one}: is for ONNX Runtime on a CPU and has no plan; leave it out")
    return chosen


def _table(results: list[Built], bundle: Bundle, key: PlanKey) -> Table:
    table = Table(title=f"{bundle.manifest.model_id}: plans of TensorRT {key.tensorrt} for {key.gpu} sm{key.sm}")
    for heading in ("precision", "outcome", "MB", "build s", "built", "types"):
        table.add_column(heading, justify="right" if heading in ("MB", "build s") else "left", no_wrap=True)
    for one in results:
        if one.plan is None:
            table.add_row(one.precision, "FAILED", *["–"] * 4)
            continue
        record = one.plan.record
        table.add_row(
            one.precision, "built, checked" if one.fresh else "there, checked", f"{record.plan_bytes / 1e6:.1f}",
            f"{record.build_s:.1f}", age_in_words(record.created_ns), "weak" if record.weak_typing else "strong",
        )  # fmt: skip
    return table


class _Bars(ConsoleObserver):
    """A bar for TensorRT's outermost phase, where the console is a terminal."""

    def __init__(self, console: Console, stop: threading.Event, bars: Progress) -> None:
        super().__init__(console, stop)
        self._bars, self._precision = bars, ""
        self._task: TaskID | None = None

    def begin(self, precision: str) -> None:
        """What follows is about ``precision``."""
        self._precision = precision

    def step(self, phase: str, done: int, total: int) -> None:
        if self._task is None:
            self._task = self._bars.add_task("")
        self._bars.update(self._task, description=f"{self._precision}: {phase}", completed=done, total=total)


@contextmanager
def _observed(console: Console, stop: threading.Event) -> Iterator[_Bars]:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        yield _Bars(console, stop, bars)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("edge-build", description=__doc__)
    parser.add_argument(
        "bundle", type=Path, nargs="?", help="model bundle; default: EDGE_INSPECT_BUNDLE, /var/lib/edge-inspect/bundle"
    )
    parser.add_argument("--precision", help="which, by commas, such as fp16,int8; default: all that the bundle has for TensorRT")
    parser.add_argument("--state", type=Path, help="where plans are kept; default: as edge-inspect looks for them")
    parser.add_argument(
        "--workspace-mb", type=whole_number(16, 1 << 17), default=DEFAULTS.workspace_mb,
        help="most scratch memory of a layer, MiB (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--optimization-level", type=whole_number(0, 5), default=DEFAULTS.optimization_level,
        help="0 builds quickly, 5 runs quickest (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="build again what is there")
    parser.add_argument("--prune", action="store_true", help="then remove plans of other models, GPUs and TensorRT versions")
    return parser


if __name__ == "__main__":
    sys.exit(main())
