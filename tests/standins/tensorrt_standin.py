"""A stand-in of ``tensorrt``: only the names that a version has, in the order that they may be called; ONNX Runtime computes.

``tensorrt_api.json`` holds the public names of NVIDIA's own bindings; a name that a version lacks is missing here as well.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import json
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from tests.standins.gpu_standin import Gpu

API = json.loads((Path(__file__).parent / "tensorrt_api.json").read_text(encoding="utf-8"))
VERSIONS: list[str] = API["versions"]
ENUMS = ("BuilderFlag", "NetworkDefinitionCreationFlag", "MemoryPoolType", "TensorIOMode", "DataType")
MAGIC = b"PLAN OF A STAND-IN\n"
PHASES = (("Building engine", None, 4), ("Measuring tactics", "Building engine", 9))


@dataclass
class Faults:
    """What goes wrong, to order. ``scale``: outputs are multiplied by it, as by a plan that computes wrongly."""

    no_builder: bool = False
    refuses_strong_typing: str = ""
    parser_error: str = ""
    build_gives_none: int = 0
    build_raises: str = ""
    no_runtime: bool = False
    no_context: bool = False
    takes_no_address: str = ""
    execute_fails: bool = False
    scale: float = 1.0
    builds: int = 0
    """Counted here: how many plans were asked for."""
    network_flags: list[int] = field(default_factory=list)
    builder_flags: list[set[str]] = field(default_factory=list)
    cleared_flags: list[set[str]] = field(default_factory=list)
    timing_caches: list[bytes] = field(default_factory=list)


def names_of(kind: str, version: str) -> set[str]:
    """The public names of a class in ``version``."""
    return {name for name, where in API["classes"][kind].items() if where == "all" or version in where}


def make_tensorrt(gpu: Gpu, version: str, faults: Faults) -> types.ModuleType:
    """The module ``tensorrt`` of ``version`` on ``gpu``."""
    module = types.ModuleType("tensorrt")
    module.__version__ = version  # type: ignore[attr-defined]
    enums: dict[str, Any] = {}
    for kind in ENUMS:
        members = sorted(names_of(kind, version) - {"name", "value", "itemsize"})
        enums[kind] = enum.IntEnum(kind, {name: index for index, name in enumerate(members)})  # type: ignore[misc]
        setattr(module, kind, enums[kind])
    typing_flag, mode, kinds = (enums[one] for one in ("NetworkDefinitionCreationFlag", "TensorIOMode", "DataType"))
    strongly = 1 << int(typing_flag.STRONGLY_TYPED)

    def require_context() -> None:
        if not gpu.contexts:
            gpu.violate("TensorRT is called with no CUDA context current")

    class ILogger:
        class Severity(enum.IntEnum):
            INTERNAL_ERROR = 0
            ERROR = 1
            WARNING = 2
            INFO = 3
            VERBOSE = 4

        INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = Severity

        def __init__(self) -> None:
            self.made = True

    def require_log(log: Any) -> Any:
        if not isinstance(log, ILogger) or not getattr(log, "made", False):
            raise TypeError("__init__(): incompatible constructor arguments")
        return log

    class IProgressMonitor:
        def __init__(self) -> None:
            self.made = True

    class IHostMemory(bytes):
        @property
        def nbytes(self) -> int:
            return len(self)

    class ITimingCache:
        def __init__(self, content: bytes) -> None:
            self.content = content

        def serialize(self) -> IHostMemory:
            return IHostMemory(self.content or b"timings of a stand-in")

    class INetworkDefinition:
        def __init__(self, builder: Any, flags: int) -> None:
            self._builder, self._flags, self._model = builder, flags, b""

    class ParserError:
        def __init__(self, text: str, node: str = "", operator: str = "") -> None:
            self._text, self._node, self._operator = text, node, operator

        def desc(self) -> str:
            return self._text

        def node_name(self) -> str:
            return self._node

        def node_operator(self) -> str:
            return self._operator

    class OnnxParser:
        def __init__(self, network: Any, log: Any) -> None:
            self._network, self._log, self._errors = network, require_log(log), []

        def parse(self, model: bytes, path: str | None = None) -> bool:
            if faults.refuses_strong_typing and self._network._flags & strongly:
                self._errors = [ParserError(faults.refuses_strong_typing, "node_7", "Mul")]
            elif faults.parser_error:
                self._errors = [ParserError(faults.parser_error, f"node_{i // 2}", "Foo") for i in range(10)]
            else:
                try:
                    graph = onnx.load_from_string(model).graph
                    if not graph.output:
                        raise ValueError("no outputs")
                except Exception as error:
                    self._errors = [ParserError(f"Failed to parse the ONNX model: {type(error).__name__}")]
            if not self._errors:
                self._network._model = model
            return not self._errors

        @property
        def num_errors(self) -> int:
            return len(self._errors)

        def get_error(self, index: int) -> ParserError:
            return self._errors[index]

    class IBuilderConfig:
        def __init__(self) -> None:
            self._limits: dict[Any, int] = {}
            self._flags, self._cleared = {"TF32"}, set()
            self._cache: Any = None
            self._monitor: Any = None
            self._level = 3

        @property
        def builder_optimization_level(self) -> int:
            return self._level

        @builder_optimization_level.setter
        def builder_optimization_level(self, level: int) -> None:
            if not 0 <= level <= 5:
                gpu.violate(f"optimisation level {level}")
            self._level = level

        @property
        def progress_monitor(self) -> Any:
            return self._monitor

        @progress_monitor.setter
        def progress_monitor(self, monitor: Any) -> None:
            if not isinstance(monitor, IProgressMonitor) or not getattr(monitor, "made", False):
                gpu.violate("the progress monitor is none, or its base was not initialised")
            self._monitor = monitor

        def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
            self._limits[pool] = pool_size

        def set_flag(self, one: Any) -> None:
            self._flags.add(one.name)

        def clear_flag(self, one: Any) -> None:
            self._flags.discard(one.name)
            self._cleared.add(one.name)

        def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache | None:
            if serialized_timing_cache.startswith(b"torn"):
                return None
            return ITimingCache(serialized_timing_cache)

        def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
            if ignore_mismatch:
                gpu.violate("a timing cache of another GPU would be used")
            if cache.content.startswith(b"other GPU"):
                return False
            faults.timing_caches.append(cache.content)
            self._cache = cache
            return True

        def get_timing_cache(self) -> Any:
            return self._cache

    class Builder:
        def __init__(self, log: Any) -> None:
            require_context()
            self._log = require_log(log)
            if faults.no_builder:
                log.log(ILogger.ERROR, "CUDA initialization failure with error: 35")
                raise TypeError("pybind11::init(): factory function returned nullptr")

        def create_network(self, flags: int = 0) -> INetworkDefinition:
            faults.network_flags.append(flags)
            return INetworkDefinition(self, flags)

        def create_builder_config(self) -> IBuilderConfig:
            return IBuilderConfig()

        def build_serialized_network(self, network: Any, config: Any) -> IHostMemory | None:
            require_context()
            faults.builds += 1
            faults.builder_flags.append(set(config._flags))
            faults.cleared_flags.append(set(config._cleared))
            if network._builder is not self or not network._model:
                gpu.violate("a network that was not parsed, or is another builder's")
            if network._flags & strongly and {"FP16", "INT8"} & config._flags:
                gpu.violate("precision flags on a strongly typed network")
            if not config._limits:
                gpu.violate("no workspace limit was set")
            if faults.build_raises:
                raise RuntimeError(faults.build_raises)
            monitor = config._monitor
            for name, parent, steps in PHASES:
                monitor.phase_start(name, parent, steps)
            for name, _, steps in reversed(PHASES):
                for step in range(steps):
                    if not monitor.step_complete(name, step):
                        self._log.log(ILogger.ERROR, "BuildCanceled")
                        return None
                monitor.phase_finish(name)
            if faults.build_gives_none:
                faults.build_gives_none -= 1
                self._log.log(ILogger.ERROR, "could not find any implementation for node {ForeignNode[a...b]}")
                return None
            body = json.dumps({"version": version, "gpu": gpu.name, "scale": faults.scale}).encode() + b"\n" + network._model
            return IHostMemory(MAGIC + hashlib.sha256(body).digest() + body)

    class IExecutionContext:
        def __init__(self, engine: Any) -> None:
            self._engine, self._addresses = engine, {}

        def set_tensor_address(self, name: str, memory: int) -> bool:
            if name not in self._engine._tensors:
                gpu.violate(f"an address for {name}, which the engine does not have")
            if not isinstance(memory, int):
                raise TypeError("set_tensor_address(): incompatible function arguments")
            if name == faults.takes_no_address:
                return False
            gpu.at(memory, self._engine._size(name))
            self._addresses[name] = memory
            return True

        def execute_async_v3(self, stream_handle: int) -> bool:
            require_context()
            engine = self._engine
            if faults.execute_fails:
                engine._log.log(ILogger.ERROR, "enqueueV3: launch failed")
                return False
            if missing := set(engine._tensors) - set(self._addresses):
                engine._log.log(ILogger.ERROR, f"no address for {sorted(missing)}")
                gpu.violate(f"execute_async_v3 without addresses for {sorted(missing)}")
            gpu.launches += 1
            addresses = dict(self._addresses)
            gpu.put(stream_handle, lambda: engine._compute(addresses))
            return True

    class ICudaEngine:
        def __init__(self, model: bytes, scale: float, log: Any) -> None:
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            self._scale, self._log = scale, log
            self._inputs = [one.name for one in self._session.get_inputs()]
            every = [*self._session.get_inputs(), *self._session.get_outputs()]
            self._tensors = {one.name: (tuple(one.shape), one.type) for one in every}

        @property
        def num_io_tensors(self) -> int:
            return len(self._tensors)

        def get_tensor_name(self, index: int) -> str:
            return list(self._tensors)[index]

        def get_tensor_mode(self, name: str) -> Any:
            return mode.INPUT if name in self._inputs else mode.OUTPUT

        def get_tensor_dtype(self, name: str) -> Any:
            return {"tensor(float)": kinds.FLOAT, "tensor(uint8)": kinds.UINT8, "tensor(int32)": kinds.INT32}[
                self._tensors[name][1]
            ]

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            return self._tensors[name][0]

        def create_execution_context(self) -> IExecutionContext | None:
            require_context()
            if faults.no_context:
                self._log.log(ILogger.ERROR, "createExecutionContext: out of memory")
                return None
            return IExecutionContext(self)

        def _type(self, name: str) -> Any:
            return np.dtype(np.uint8 if self._tensors[name][1] == "tensor(uint8)" else np.float32)

        def _size(self, name: str) -> int:
            return int(np.prod(self._tensors[name][0])) * self._type(name).itemsize

        def _compute(self, addresses: dict[str, int]) -> None:
            def seen(name: str) -> Any:
                return gpu.at(addresses[name], self._size(name)).view(self._type(name)).reshape(self._tensors[name][0])

            names = [name for name in self._tensors if name not in self._inputs]
            outputs = self._session.run(names, {name: seen(name).copy() for name in self._inputs})
            for name, value in zip(names, outputs, strict=True):
                seen(name)[...] = value * np.float32(self._scale)

    class Runtime:
        def __init__(self, log: Any) -> None:
            self._log = require_log(log)
            if faults.no_runtime:
                raise TypeError("pybind11::init(): factory function returned nullptr")

        def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
            require_context()
            digest, body = serialized_engine[len(MAGIC) : len(MAGIC) + 32], serialized_engine[len(MAGIC) + 32 :]
            if not serialized_engine.startswith(MAGIC) or hashlib.sha256(body).digest() != digest:
                gpu.violate("bytes that are no plan reached the runtime: they could have been any code")
            head, model = body.split(b"\n", 1)
            made = json.loads(head)
            if (made["version"], made["gpu"]) != (version, gpu.name):
                self._log.log(
                    ILogger.ERROR, f"The engine plan file is not compatible, expecting version {version} got {made['version']}"
                )
                return None
            return ICudaEngine(model, made["scale"], self._log)

    for one in (
        ILogger, IProgressMonitor, IHostMemory, ITimingCache, INetworkDefinition, ParserError, OnnxParser, IBuilderConfig, Builder,
        IExecutionContext, ICudaEngine, Runtime,
    ):  # fmt: skip
        _only_what_the_version_has(one, version, gpu.used)
        setattr(module, one.__name__, one)
    return module


def _only_what_the_version_has(kind: type, version: str, used: set[tuple[str, str]]) -> None:
    """Remove the other names, and note in ``used`` what is called of the rest."""
    for name in offered(kind):
        if name not in names_of(kind.__name__, version):
            delattr(kind, name)
            continue
        value = vars(kind)[name]
        if isinstance(value, types.FunctionType):
            setattr(kind, name, _noted(value, (kind.__name__, name), used))
        elif isinstance(value, property):
            both = [one and _noted(one, (kind.__name__, name), used) for one in (value.fget, value.fset)]
            setattr(kind, name, property(*both))


def _noted(function: Callable[..., Any], which: tuple[str, str], used: set[tuple[str, str]]) -> Callable[..., Any]:
    @functools.wraps(function)
    def noted(*arguments: Any, **named: Any) -> Any:
        used.add(which)
        return function(*arguments, **named)

    return noted


def offered(kind: type) -> list[str]:
    """The public names a class of the stand-in defines."""
    return [name for name in vars(kind) if not name.startswith("_")]
