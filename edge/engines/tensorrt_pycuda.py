"""TensorRT through PyCUDA: buffers allocated once, one stream, one launch per image, a deadline on every wait."""

from __future__ import annotations

import ctypes
import logging
import re
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Literal

import numpy as np

from edge import graph_contract
from edge.clock import Clock, SystemClock
from edge.engines.base import Engine, Outputs
from edge.engines.cuda_device import CudaDevice
from edge.engines.cuda_graph import CudaGraph
from edge.engines.tensor_memory import TensorMemory
from edge.engines.tensorrt_import import collecting_log, import_tensorrt, numpy_types, one_line
from edge.errors import EngineError, PlanError
from edge.frame import Image
from edge.graph_contract import GraphShape
from edge.slots.calibration_tensors import CalibrationTensors

DEADLINE_MS = 1000
FIRST_RUNS = 2
FIRST_RUNS_DEADLINE_MS = 60_000
"""The first runs load kernels and record the graph, which takes a small board seconds; they are those of the self-test."""
POLL_NS = 100_000
RUNS_BEFORE_GRAPH = 1
"""TensorRT puts off some work to the first run, which must not be recorded."""
NON_BLOCKING_STREAM = 1
"""CU_STREAM_NON_BLOCKING: does not wait for work that others put on the default stream."""
ImageMemory = Literal["copied", "mapped"]
Io = dict[str, tuple[tuple[int, ...], Any]]
"""Name → shape and numpy type."""
logger = logging.getLogger(__name__)


def runtime_name(tensorrt_version: str, gpu: str, sm: str) -> str:
    """The runtime as a calibration slot knows it, such as ``tensorrt-10.3.0-orin-nvgpu-sm8.7``."""
    return f"tensorrt-{tensorrt_version}-{re.sub('[^a-z0-9]+', '-', gpu.lower()).strip('-')}-sm{sm}"


class TensorRTEngine(Engine):
    """Runs ``plan`` on ``device``, which is the caller's and outlives a failed start; see ``close_with``.

    image_memory: "mapped" lets the GPU read the image and write scores and map in the host's own memory; calibration, Z and X̂
    stay on the GPU either way, and Z and X̂ come to the host only when they are asked for.
    A plan is executable code: hand in only one whose hash was checked. Raises PlanError where it does not load or is not of
    ``shape``, EngineError where the GPU fails.
    """

    _runtime: Any
    _engine: Any
    _context: Any
    _stream: Any
    _done: Any

    def __init__(
        self,
        plan: bytes,
        shape: GraphShape,
        device: CudaDevice,
        image_memory: ImageMemory = "copied",
        deadline_ms: int = DEADLINE_MS,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(shape)
        self._tensorrt = import_tensorrt()
        self._log = collecting_log(self._tensorrt)
        self._device, self._deadline_ns, self._clock = device, deadline_ms * 1_000_000, clock or SystemClock()
        self._never = threading.Event()
        self._afterwards: list[Callable[[], None]] = []
        self._memory: dict[str, TensorMemory] = {}
        self._graph: CudaGraph | None = None
        self._runs = 0
        with device.active(), ExitStack() as stack:
            self._load(plan, stack)
            stack.callback(self._drop, "_done", "_stream")
            self._stream = device.driver.Stream(NON_BLOCKING_STREAM)
            self._done = device.driver.Event(device.driver.event_flags.DISABLE_TIMING)
            for name, (size, dtype) in self._io.items():
                mapped = image_memory == "mapped" and name in (graph_contract.IMAGE, *graph_contract.INSPECTION_OUTPUTS)
                self._memory[name] = memory = TensorMemory(device, size, dtype, mapped=mapped)
                stack.callback(memory.free)
                if not self._context.set_tensor_address(name, memory.address):
                    raise PlanError(f"TensorRT takes no address for {name} ({self._log.errors_in_words()}); build the plan again")
            self._resources = stack.pop_all()

    @property
    def runtime(self) -> str:
        return runtime_name(self._tensorrt.__version__, self._device.name, self._device.sm)

    @property
    def uses_graph(self) -> bool:
        """True once images run as one recorded launch."""
        return self._graph is not None

    def close_with(self, action: Callable[[], None]) -> None:
        """Also do this when the engine is closed, after everything of its own was freed."""
        self._afterwards.append(action)

    def _load(self, plan: bytes, stack: ExitStack) -> None:
        self._log.errors.clear()
        stack.callback(self._drop, "_context", "_engine", "_runtime")
        try:
            self._runtime = self._tensorrt.Runtime(self._log)
            self._engine = self._runtime.deserialize_cuda_engine(plan)
            self._context = None if self._engine is None else self._engine.create_execution_context()
        except Exception as error:  # pybind11 raises TypeError and RuntimeError as it pleases
            raise PlanError(f"TensorRT cannot load the plan ({one_line(error)}); build it again") from error
        if self._context is None:
            raise PlanError(f"TensorRT cannot load the plan ({self._log.errors_in_words()}); build it again")
        self._io = self._checked_io()

    def _checked_io(self) -> Io:
        """Every input and output of the plan, which must be those of the graph's contract."""
        tensorrt, engine = self._tensorrt, self._engine
        types = numpy_types(tensorrt)
        found: Io = {}
        inputs = set()
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            kind = engine.get_tensor_dtype(name)
            found[name] = (tuple(engine.get_tensor_shape(name)), types.get(kind, kind))
            if engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT:
                inputs.add(name)
        size, _ = found.get(graph_contract.RECONSTRUCTION, ((), None))
        inputs_due, outputs_due = _contract(self.shape, size)
        due = inputs_due | outputs_due
        if inputs != set(inputs_due) or found != due:
            wrong = sorted(name for name in {*found, *due} if found.get(name) != due.get(name))
            raise PlanError(
                f"the plan's inputs and outputs are not those of the bundle's graph (see {', '.join(wrong) or 'the inputs'}); "
                "build it again"
            )
        return found

    def _bind_impl(self, tensors: CalibrationTensors) -> None:
        with self._device.active():
            self._require_idle()
            for name, array in tensors.items():
                self._memory[name].host[...] = array
                self._memory[name].upload(self._stream)
            self._wait("take the calibration")

    def _run_impl(self, image: Image, names: tuple[str, ...]) -> Outputs:
        with self._device.active():
            self._require_idle()
            self._memory[graph_contract.IMAGE].host[...] = image
            for name in {*graph_contract.INSPECTION_OUTPUTS, *names}:
                self._memory[name].host.fill(np.nan)  # what the GPU does not write cannot pass for a score
            self._launch()
            for name in names:
                if name not in graph_contract.INSPECTION_OUTPUTS:
                    self._memory[name].download(self._stream)
            self._wait("score the image")
            return {name: self._memory[name].host.copy() for name in names}

    def _launch(self) -> None:
        if self._runs == RUNS_BEFORE_GRAPH:  # once: where it cannot be recorded now, it cannot be later
            try:
                self._graph = CudaGraph(self._stream.handle, self._enqueue)
            except EngineError as error:
                logger.info("images are launched call by call: %s", error)
        self._runs += 1
        if self._graph is not None:
            self._graph.launch()
        else:
            self._enqueue()

    def _enqueue(self) -> None:
        """Image up, everything computed, what inspection reads down."""
        self._memory[graph_contract.IMAGE].upload(self._stream)
        if not self._context.execute_async_v3(self._stream.handle):
            raise EngineError(f"TensorRT did not run: {self._log.errors_in_words()}")
        for name in graph_contract.INSPECTION_OUTPUTS:
            self._memory[name].download(self._stream)

    def _require_idle(self) -> None:
        """Buffers must not change under the GPU: after a missed deadline it may still be at the last image."""
        if not self._stream.is_done():
            raise EngineError("the GPU still has not finished an earlier image; restart edge-inspect if this stays")

    def _wait(self, what: str) -> None:
        self._done.record(self._stream)
        allowed_ns = self._deadline_ns if self._runs > FIRST_RUNS else max(self._deadline_ns, FIRST_RUNS_DEADLINE_MS * 1_000_000)
        deadline_ns = self._clock.monotonic_ns() + allowed_ns
        while not self._done.query():
            if self._clock.monotonic_ns() >= deadline_ns:
                raise EngineError(f"the GPU did not {what} within {allowed_ns // 1_000_000} ms")
            self._clock.wait(self._never, POLL_NS)

    def _close_impl(self) -> None:
        try:
            with self._device.active():
                if not self._idle_in_time():
                    # Freeing waits for the GPU, without end if it hangs. The driver takes everything back from a dead process.
                    logger.warning("the GPU is still at work; its memory is left to the end of the process")
                    ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))
                    return
                if self._graph is not None:
                    self._graph.free()
                self._resources.close()
        except EngineError as error:
            logger.warning("the engine was not closed cleanly: %s", error)
        for action in self._afterwards:
            action()

    def _idle_in_time(self) -> bool:
        deadline_ns = self._clock.monotonic_ns() + self._deadline_ns
        try:
            while not self._stream.is_done():
                if self._clock.monotonic_ns() >= deadline_ns:
                    return False
                self._clock.wait(self._never, POLL_NS)
        except self._device.driver.Error as error:
            logger.warning("the CUDA context broke: %s", one_line(error))  # nothing runs in it any more
        return True

    def _drop(self, *names: str) -> None:
        """Let go of TensorRT's and PyCUDA's own objects, in this order, while the context is current."""
        for name in names:
            setattr(self, name, None)


def _contract(shape: GraphShape, reconstruction: tuple[int, ...]) -> tuple[Io, Io]:
    """The inputs and outputs of a graph of ``shape``; the size of X̂, 1×3×h×w, is the graph's own choice."""
    real = np.dtype(np.float32)
    inputs: Io = {graph_contract.IMAGE: ((1, shape.height, shape.width, 3), np.dtype(np.uint8))}
    inputs |= {name: (size, real) for name, size in CalibrationTensors.shapes(shape).items()}
    outputs: Io = dict.fromkeys((*graph_contract.SCORES, graph_contract.MAP_MEAN), ((1,), real))
    outputs |= {
        graph_contract.IMAGE_QUALITY: ((3,), real),
        graph_contract.ANOMALY_MAP: ((1, shape.map_height, shape.map_width), real),
        graph_contract.GROUP_SCORES: ((len(shape.groups),), real),
        graph_contract.FEATURE: ((1, shape.channels, shape.feature_height, shape.feature_width), real),
        graph_contract.RECONSTRUCTION: ((1, 3, *reconstruction[2:4]), real),
    }
    return inputs, outputs
