"""ONNX in, serialized TensorRT plan out, on the device that will run it. One code path for TensorRT 10.3 to 11.x.

The precision lies in the graph, and the network is strongly typed: TensorRT computes in the types that are written there.
Before 10.12 some graphs are refused that way; they get one more try with weak typing and builder flags, and somebody is told.
Only names of the Python API that every one of these versions has are used; what 11 dropped is asked for by ``hasattr``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from edge.engines.build_observer import BuildObserver
from edge.engines.tensorrt_import import collecting_log, import_tensorrt, one_line, version
from edge.errors import BuildStoppedError, PlanError

STRONG_TYPING_IS_COMPLETE = (10, 12)
WEAK_FLAGS = {"fp32": (), "fp16": ("FP16",), "int8": ("INT8", "FP16")}
MOST_PARSER_ERRORS = 3


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """workspace_mb: most scratch memory a layer may take, MiB. optimization_level: 0 (quick to build) to 5 (quick to run)."""

    workspace_mb: int = 1024
    optimization_level: int = 3

    def flags(self) -> str:
        """What distinguishes plans of one graph; part of a plan's key."""
        return f"tf32=off workspace_mb={self.workspace_mb} optimization_level={self.optimization_level}"


@dataclass(frozen=True, slots=True)
class BuiltPlan:
    """plan: executable code for this TensorRT and GPU. weak_typing: why types are not enforced, empty where they are."""

    plan: bytes
    timing_cache: bytes
    weak_typing: str
    seconds: float


class _RefusedError(Exception):
    """The parser or the builder would not; the text says why."""


def build_plan(
    model: bytes, precision: str, settings: BuildSettings, observer: BuildObserver, timing_cache: bytes = b""
) -> BuiltPlan:
    """Build the plan of the ONNX file ``model``; raises PlanError, BuildStoppedError, ConfigError without TensorRT.

    timing_cache: of an earlier build by the same TensorRT on the same GPU; one that does not fit is left aside.
    """
    tensorrt = import_tensorrt()
    started = time.monotonic()
    weak_typing = ""
    strong = 1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    try:
        plan, cache = _attempt(tensorrt, model, settings, observer, timing_cache, strong, ())
    except _RefusedError as refused:
        weak_typing = str(refused)
        flags = WEAK_FLAGS.get(precision)
        may_be_weak = version(tensorrt) < STRONG_TYPING_IS_COMPLETE and flags is not None
        if flags is None or not may_be_weak or not all(hasattr(tensorrt.BuilderFlag, flag) for flag in flags):
            name = f"TensorRT {tensorrt.__version__}"
            raise PlanError(
                f"{name} cannot build the {precision} plan: {refused}; export again, or use another precision"
            ) from refused
        observer.say(f"TensorRT {tensorrt.__version__} refuses strong typing ({refused}); trying weak typing")
        try:
            plan, cache = _attempt(tensorrt, model, settings, observer, timing_cache, 0, flags)
        except _RefusedError as again:
            raise PlanError(
                f"TensorRT {tensorrt.__version__} cannot build the {precision} plan: {refused}; with weak typing: {again}; "
                "export again, or use another precision"
            ) from again
    return BuiltPlan(plan, cache, weak_typing, time.monotonic() - started)


def _attempt(
    tensorrt: Any,
    model: bytes,
    settings: BuildSettings,
    observer: BuildObserver,
    timing_cache: bytes,
    network_flags: int,
    builder_flags: tuple[str, ...],
) -> tuple[bytes, bytes]:
    """One parse and build: the plan and the timing cache as it is now."""
    log = collecting_log(tensorrt)
    log.errors.clear()
    try:
        builder = tensorrt.Builder(log)
        network = builder.create_network(network_flags)
        parser = tensorrt.OnnxParser(network, log)
        if not parser.parse(model):
            raise _RefusedError(_parser_errors(parser) or log.errors_in_words())
        config = builder.create_builder_config()
        config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, settings.workspace_mb << 20)
        config.builder_optimization_level = settings.optimization_level
        config.clear_flag(tensorrt.BuilderFlag.TF32)  # distances in TF32 lose the spread of normal parts
        for name in builder_flags:
            config.set_flag(getattr(tensorrt.BuilderFlag, name))
        monitor = _progress_monitor(tensorrt, observer)
        config.progress_monitor = monitor
        _attach_timing_cache(config, timing_cache)
        plan = builder.build_serialized_network(network, config)
        if observer.stopped():
            raise BuildStoppedError("stopped before the TensorRT plan was finished; nothing of it was kept")
        if plan is None:
            raise _RefusedError(log.errors_in_words())
        cache = config.get_timing_cache()
        return bytes(plan), bytes(cache.serialize()) if cache is not None else b""
    except (_RefusedError, PlanError):
        raise
    except Exception as error:  # pybind11 raises TypeError and RuntimeError as it pleases
        raise _RefusedError(f"{one_line(error)}; {log.errors_in_words()}") from error


def _attach_timing_cache(config: Any, content: bytes) -> None:
    for one in dict.fromkeys((content, b"")):
        try:
            cache = config.create_timing_cache(one)
            if cache is not None and config.set_timing_cache(cache, False):
                return
        except Exception as error:  # of another version, or torn; measuring again is all it costs
            if not one:
                raise _RefusedError(f"no timing cache can be made: {one_line(error)}") from error


def _parser_errors(parser: Any) -> str:
    """Every different reason of the parser, with the node it is about, in one line."""
    reasons = []
    for index in range(parser.num_errors):
        error = parser.get_error(index)
        node = " ".join(filter(None, (error.node_name(), f"({error.node_operator()})" if error.node_operator() else "")))
        reasons.append(" ".join(f"{node}{': ' if node else ''}{error.desc()}".split()))
    reasons = list(dict.fromkeys(reasons))
    more = f"; and {len(reasons) - MOST_PARSER_ERRORS} more" if len(reasons) > MOST_PARSER_ERRORS else ""
    return "; ".join(reasons[:MOST_PARSER_ERRORS]) + more


def _progress_monitor(tensorrt: Any, observer: BuildObserver) -> Any:
    class Monitor(tensorrt.IProgressMonitor):  # type: ignore[misc]
        """Tells of the outermost phase only; the inner ones come by the thousand."""

        def __init__(self) -> None:
            tensorrt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if not parent_phase:
                self._steps[phase_name] = num_steps
                observer.step(phase_name, 0, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            if phase_name in self._steps:
                observer.step(phase_name, step + 1, self._steps[phase_name])
            return not observer.stopped()

        def phase_finish(self, phase_name: str) -> None:
            if (steps := self._steps.pop(phase_name, None)) is not None and not observer.stopped():
                observer.step(phase_name, steps, steps)

    return Monitor()
