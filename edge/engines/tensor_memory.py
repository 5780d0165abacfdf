"""Memory of one tensor of an engine: on the GPU, and page-locked on the host so that copies run beside the CPU."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.engines.cuda_device import CudaDevice


class TensorMemory:
    """Allocated once, at one address for its whole life. For use within ``device.active()``; CUDA's errors pass through.

    mapped: the GPU works on the host's memory itself, without a copy; for what is read or written once per image on a Jetson,
    whose CPU and GPU share their memory.
    """

    def __init__(self, device: CudaDevice, shape: tuple[int, ...], dtype: np.dtype[Any], *, mapped: bool = False) -> None:
        self._driver = device.driver
        self._memory: Any = None
        flags = self._driver.host_alloc_flags.DEVICEMAP if mapped else 0
        self.host: NDArray[Any] = self._driver.pagelocked_empty(shape, dtype, mem_flags=flags)
        self._pages: Any = self.host.base
        try:
            if mapped:
                self.address = int(self._pages.get_device_pointer())
            else:
                self._memory = self._driver.mem_alloc(self.host.nbytes)
                self.address = int(self._memory)
        except BaseException:
            self.free()
            raise

    def upload(self, stream: Any) -> None:
        """Host to GPU, asynchronous on ``stream``."""
        if self._memory is not None:
            self._driver.memcpy_htod_async(self._memory, self.host, stream)

    def download(self, stream: Any) -> None:
        """GPU to host, asynchronous on ``stream``; ``host`` is whole once the stream has come so far."""
        if self._memory is not None:
            self._driver.memcpy_dtoh_async(self.host, self._memory, stream)

    def free(self) -> None:
        """Give both back; may be called twice. Nothing may be under way on them. ``host`` is gone then."""
        memory, pages = self._memory, self._pages
        self._memory = self._pages = None
        self.host = np.empty(0, np.uint8)
        for one in (memory, pages):
            if one is not None:
                with suppress(self._driver.Error):  # the context broke; the driver takes everything back with it
                    one.free()
