"""A stand-in of ``pycuda.driver``: the names and rules that PyCUDA's source (wrap_cudadrv.cpp, cuda.hpp) shows, over a ``Gpu``."""

from __future__ import annotations

import enum
import math
import threading
import types
from typing import Any

import numpy as np

from tests.standins.gpu_standin import Gpu


class Error(Exception):
    """pycuda.driver.Error."""


class LogicError(Error):
    pass


class MemoryError(Error):
    pass


class RuntimeError(Error):
    pass


class LaunchError(Error):
    pass


class event_flags(enum.IntEnum):  # noqa: N801 - the real name
    DEFAULT = 0
    BLOCKING_SYNC = 1
    DISABLE_TIMING = 2


class host_alloc_flags:  # noqa: N801 - the real name
    PORTABLE = 1
    DEVICEMAP = 2
    WRITECOMBINED = 4


def make_driver(gpu: Gpu) -> types.ModuleType:
    """The module ``pycuda.driver`` of ``gpu``."""

    def require_context() -> Any:
        if gpu.broken:
            raise LaunchError(gpu.broken)
        if not gpu.contexts:
            raise LogicError("explicit_context_dependent failed: invalid device context - no currently active context?")
        return gpu.contexts[-1]

    class Context:
        def __init__(self) -> None:
            self.thread, self.valid = threading.get_ident(), True

        def push(self) -> None:
            if not self.valid:
                gpu.violate("a context that was given back is pushed")
            gpu.contexts.append(self)

        @staticmethod
        def pop() -> None:
            if not gpu.contexts:
                raise LogicError("context::pop failed: invalid device context - cannot pop non-current context")
            gpu.contexts.pop()

        def detach(self) -> None:
            if not self.valid:
                raise LogicError("context::detach failed: invalid device context - cannot detach from invalid context")
            if threading.get_ident() != self.thread:
                gpu.violate("the context is given back in a thread that did not retain it; PyCUDA leaks it there")
            if self in gpu.contexts:
                gpu.violate("the context is given back while it is current")
            if gpu.bytes_held and not gpu.broken:
                gpu.violate(f"the context is given back with {gpu.bytes_held} bytes still allocated in it")
            if len(gpu.objects):
                gpu.violate("the context is given back with streams or events still alive")
            self.valid = False
            gpu.retained -= 1

    class Device:
        def __init__(self, number: int) -> None:
            if not gpu.initialised:
                raise LogicError("cuDeviceGet failed: initialization error")
            if number != 0:
                raise LogicError("cuDeviceGet failed: invalid device ordinal")

        def name(self) -> str:
            return gpu.name

        def compute_capability(self) -> tuple[int, int]:
            return gpu.compute_capability

        def retain_primary_context(self) -> Context:
            gpu.retained += 1
            return Context()

    class Stream:
        def __init__(self, flags: int = 0) -> None:
            require_context()
            self.queue: list[Any] = []
            self.looked_at = False
            self.handle = 0x5000 + id(self) % 0xFFFF_FFFF
            gpu.streams[self.handle] = self
            gpu.objects.add(self)

        def is_done(self) -> bool:
            require_context()
            return gpu.settle(self)

        def synchronize(self) -> None:
            gpu.violate("Stream.synchronize waits without a deadline")

    class Event:
        def __init__(self, flags: int = 0) -> None:
            require_context()
            self.stream: Stream | None = None
            gpu.objects.add(self)

        def record(self, stream: Stream | None = None) -> Event:
            require_context()
            self.stream = stream
            return self

        def query(self) -> bool:
            require_context()
            return self.stream is None or gpu.settle(self.stream)

        def synchronize(self) -> Event:
            gpu.violate("Event.synchronize waits without a deadline")
            return self

    def take_allocation() -> None:
        require_context()
        if gpu.allocations_left is not None:
            if gpu.allocations_left == 0:
                raise MemoryError("cuMemAlloc failed: out of memory")
            gpu.allocations_left -= 1

    class DeviceAllocation:
        def __init__(self, size: int) -> None:
            self._address, self._valid = gpu.allocate(size), True
            self.size = size

        def __int__(self) -> int:
            return self._address

        __index__ = __int__

        def free(self) -> None:
            if not self._valid:
                raise LogicError("device_allocation::free failed: invalid resource handle")
            require_context()
            gpu.release(self._address)
            self._valid = False

    class PagelockedHostAllocation:
        """Owns the memory of a page-locked array, and is its ``base``."""

        def __init__(self, shape: tuple[int, ...], dtype: Any, flags: int) -> None:
            kind = np.dtype(dtype)
            self._bytes = np.full(math.prod(shape) * kind.itemsize, 0xCD, np.uint8)
            self._address, self._flags, self._valid = gpu.allocate(self._bytes.nbytes, self._bytes), flags, True
            self.__array_interface__ = {
                "version": 3, "shape": tuple(shape), "typestr": kind.str, "data": (self._bytes.ctypes.data, False),
            }  # fmt: skip

        def get_device_pointer(self) -> int:
            if not self._flags & host_alloc_flags.DEVICEMAP:
                raise LogicError("cuMemHostGetDevicePointer failed: invalid argument")
            return self._address

        def free(self) -> None:
            if not self._valid:
                raise LogicError("pagelocked_host_allocation::free failed: invalid resource handle")
            require_context()
            gpu.release(self._address)
            self._valid = False

    def mem_alloc(size: int) -> DeviceAllocation:
        take_allocation()
        return DeviceAllocation(size)

    def pagelocked_empty(shape: tuple[int, ...], dtype: Any, order: str = "C", mem_flags: int = 0) -> Any:
        take_allocation()
        return np.asarray(PagelockedHostAllocation(tuple(shape), dtype, mem_flags))

    def page_locked(array: Any) -> None:
        if not isinstance(array.base, PagelockedHostAllocation):
            gpu.violate("an asynchronous copy of memory that is not page-locked waits in truth")
        if not array.base._valid:
            gpu.violate("a copy of page-locked memory that was freed")

    def memcpy_htod_async(dest: Any, src: Any, stream: Stream | None = None) -> None:
        require_context()
        page_locked(src)
        assert stream is not None

        def work() -> None:
            page_locked(src)
            gpu.at(int(dest), src.nbytes)[:] = np.ascontiguousarray(src).view(np.uint8).reshape(-1)
            gpu.uploads.append(src.nbytes)

        gpu.put(stream.handle, work)

    def memcpy_dtoh_async(dest: Any, src: Any, stream: Stream | None = None) -> None:
        require_context()
        page_locked(dest)
        assert stream is not None

        def work() -> None:
            page_locked(dest)
            dest.reshape(-1).view(np.uint8)[:] = gpu.at(int(src), dest.nbytes)
            gpu.downloads.append(dest.nbytes)

        gpu.put(stream.handle, work)

    def init(flags: int = 0) -> None:
        if gpu.broken:
            raise RuntimeError(gpu.broken)
        gpu.initialised = True

    driver = types.ModuleType("pycuda.driver")
    for one in (
        Error, LogicError, MemoryError, RuntimeError, LaunchError, event_flags, host_alloc_flags, Context, Device, Stream, Event,
        DeviceAllocation, PagelockedHostAllocation, mem_alloc, pagelocked_empty, memcpy_htod_async, memcpy_dtoh_async, init,
    ):  # fmt: skip
        setattr(driver, one.__name__, one)
    return driver
