"""A recorded sequence of GPU work, launched as one: fewer calls per image. Needs NVIDIA's ``cuda-bindings``; PyCUDA has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edge.errors import EngineError


class CudaGraph:
    """What ``record`` puts on the stream ``handle``, to be launched again and again; addresses in it stay as they were.

    For use within ``CudaDevice.active()``. Raises EngineError, also where cuda-bindings is absent; the stream is usable then.
    """

    def __init__(self, handle: int, record: Callable[[], None]) -> None:
        try:
            from cuda.bindings import driver
        except (ImportError, OSError) as error:
            raise EngineError("no CUDA graph: cuda-bindings is not installed") from error
        self._driver: Any = driver
        self._stream = driver.CUstream(handle)
        # Of this thread only: a camera that uses the GPU from another must not spoil the recording.
        self._checked(driver.cuStreamBeginCapture(self._stream, driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL))
        try:
            record()
        except BaseException:
            status, *graphs = driver.cuStreamEndCapture(self._stream)  # or the stream would stay in capture
            if status == driver.CUresult.CUDA_SUCCESS:
                driver.cuGraphDestroy(graphs[0])
            raise
        (graph,) = self._checked(driver.cuStreamEndCapture(self._stream))
        try:
            (self._executable,) = self._checked(driver.cuGraphInstantiate(graph, 0))
        finally:
            driver.cuGraphDestroy(graph)

    def launch(self) -> None:
        """Put the recorded work on the stream."""
        self._checked(self._driver.cuGraphLaunch(self._executable, self._stream))

    def free(self) -> None:
        """May be called twice."""
        executable, self._executable = self._executable, None
        if executable is not None:
            self._driver.cuGraphExecDestroy(executable)

    def _checked(self, result: tuple[Any, ...]) -> tuple[Any, ...]:
        """What a call gave besides its status; raises EngineError where that is not success."""
        if result[0] != self._driver.CUresult.CUDA_SUCCESS:
            text = self._driver.cuGetErrorString(result[0])[1]
            words = text.decode() if isinstance(text, bytes) else str(text)
            raise EngineError(f"CUDA failed: {words}; if this stays, restart edge-inspect")
        return result[1:]
