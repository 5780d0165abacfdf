"""A stand-in of ``cuda.bindings.driver``: the calls that record and launch a graph, with their tuples of status and results."""

from __future__ import annotations

import enum
import types
from typing import Any

from tests.standins.gpu_standin import Gpu


class CUresult(enum.IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_INVALID_VALUE = 1
    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900


class CUstreamCaptureMode(enum.IntEnum):
    CU_STREAM_CAPTURE_MODE_GLOBAL = 0
    CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1
    CU_STREAM_CAPTURE_MODE_RELAXED = 2


class CUstream(int):
    pass


def make_driver(gpu: Gpu, refuses: str = "") -> types.ModuleType:
    """The module; ``refuses`` names a call that fails."""
    ok = CUresult.CUDA_SUCCESS
    graphs: dict[int, list[Any]] = {}

    def failing(name: str) -> bool:
        return refuses == name

    def cuStreamBeginCapture(hStream: CUstream, mode: CUstreamCaptureMode) -> tuple[Any, ...]:  # noqa: N802, N803
        if failing("cuStreamBeginCapture"):
            return (CUresult.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,)
        if gpu.capture is not None:
            gpu.violate("a capture begins while another is under way")
        if gpu.streams[int(hStream)].queue:
            gpu.violate("a capture begins on a stream that has work")
        gpu.capture = (int(hStream), [])
        return (ok,)

    def cuStreamEndCapture(hStream: CUstream) -> tuple[Any, ...]:  # noqa: N802, N803
        if gpu.capture is None:
            gpu.violate("a capture ends that never began")
        assert gpu.capture is not None
        work, gpu.capture = gpu.capture[1], None
        if failing("cuStreamEndCapture"):
            return CUresult.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, None
        graphs[len(graphs) + 1] = work
        return ok, len(graphs)

    def cuGraphInstantiate(hGraph: int, flags: int) -> tuple[Any, ...]:  # noqa: N802, N803
        if failing("cuGraphInstantiate"):
            return CUresult.CUDA_ERROR_INVALID_VALUE, None
        return ok, list(graphs[hGraph])

    def cuGraphLaunch(hGraphExec: Any, hStream: CUstream) -> tuple[Any, ...]:  # noqa: N802, N803
        if failing("cuGraphLaunch"):
            return (CUresult.CUDA_ERROR_INVALID_VALUE,)
        gpu.graph_launches += 1
        for work in hGraphExec:
            gpu.put(int(hStream), work)
        return (ok,)

    def cuGraphDestroy(hGraph: int) -> tuple[Any, ...]:  # noqa: N802, N803
        del graphs[hGraph]
        return (ok,)

    def cuGraphExecDestroy(hGraphExec: Any) -> tuple[Any, ...]:  # noqa: N802, N803
        hGraphExec.clear()
        return (ok,)

    def cuGetErrorString(error: CUresult) -> tuple[Any, ...]:  # noqa: N802
        return ok, error.name.encode()

    driver = types.ModuleType("cuda.bindings.driver")
    for one in (
        CUresult, CUstreamCaptureMode, CUstream, cuStreamBeginCapture, cuStreamEndCapture, cuGraphInstantiate, cuGraphLaunch,
        cuGraphDestroy, cuGraphExecDestroy, cuGetErrorString,
    ):  # fmt: skip
        setattr(driver, one.__name__, one)
    return driver
