"""PyCUDA's memory, streams and graphs on a real GPU; skipped where there is none. Nothing of TensorRT is needed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from edge.engines.cuda_device import CudaDevice, import_pycuda
from edge.engines.cuda_graph import CudaGraph
from edge.engines.tensor_memory import TensorMemory
from edge.engines.tensorrt_pycuda import NON_BLOCKING_STREAM
from edge.errors import ConfigError, EngineError

pytestmark = pytest.mark.gpu


@pytest.fixture
def device() -> Iterator[CudaDevice]:
    try:
        import_pycuda()
        opened = CudaDevice()
    except (ConfigError, EngineError) as error:
        pytest.skip(str(error))
    with opened:
        yield opened


def finish(stream: object) -> None:
    while not stream.is_done():  # type: ignore[attr-defined]
        pass


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("shape", [(1,), (3,), (1, 512, 512, 3), (256, 64, 64)])
def test_what_goes_up_comes_down(device: CudaDevice, shape: tuple[int, ...], mapped: bool) -> None:
    with device.active():
        stream = device.driver.Stream(NON_BLOCKING_STREAM)
        memory = TensorMemory(device, shape, np.dtype(np.float32), mapped=mapped)
        try:
            sent = np.random.default_rng(0).normal(size=shape).astype(np.float32)
            memory.host[...] = sent
            memory.upload(stream)
            finish(stream)
            if not mapped:
                memory.host.fill(np.nan)
            memory.download(stream)
            finish(stream)
            assert np.array_equal(memory.host, sent)
        finally:
            memory.free()
            memory.free()
            del stream


def test_a_recorded_round_trip(device: CudaDevice) -> None:
    pytest.importorskip("cuda.bindings.driver", reason="needs cuda-bindings")
    with device.active():
        stream = device.driver.Stream(NON_BLOCKING_STREAM)
        memory = TensorMemory(device, (64,), np.dtype(np.float32))

        def record(stream: object = stream) -> None:
            memory.upload(stream)
            memory.download(stream)

        graph = CudaGraph(stream.handle, record)
        for value in (1.0, 2.0):
            memory.host.fill(value)
            graph.launch()
            finish(stream)
            assert (memory.host == value).all()
        graph.free()
        memory.free()
        del record, stream


def test_too_much_memory_is_an_error_and_the_device_stays_usable(device: CudaDevice) -> None:
    with pytest.raises(EngineError, match="CUDA failed"), device.active():
        device.driver.mem_alloc(1 << 50)
    with device.active():
        TensorMemory(device, (8,), np.dtype(np.float32)).free()
