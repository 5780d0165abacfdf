"""The GPU through PyCUDA: its primary context, retained by the thread that opened it and current only while it is used."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from edge.engines.tensorrt_import import MISSING, one_line
from edge.errors import ConfigError, EngineError

logger = logging.getLogger(__name__)


def import_pycuda() -> Any:
    """The module ``pycuda.driver``; raises ConfigError with the remedy where there is none. Never ``pycuda.autoinit``."""
    try:
        import pycuda.driver
    except (ImportError, OSError) as error:  # it needs libcuda, which comes with the driver
        raise ConfigError(MISSING.format(reason=one_line(error))) from error
    return pycuda.driver


class CudaDevice:
    """GPU ``index``. The primary context is the one TensorRT's own runtime uses, so both see the same memory.

    Everything on it is made, used and freed within ``active()``, in the thread that opened it. Raises EngineError.
    """

    def __init__(self, index: int = 0) -> None:
        self.driver = import_pycuda()
        self._thread = threading.get_ident()
        self._closed = False
        try:
            self.driver.init()
            device = self.driver.Device(index)
            self.name: str = device.name()
            major, minor = device.compute_capability()
            self._context = device.retain_primary_context()
        except self.driver.Error as error:
            raise EngineError(
                f"no CUDA device can be opened: {one_line(error)}; check the driver and the device's permissions"
            ) from error
        self.sm = f"{major}.{minor}"

    @contextmanager
    def active(self) -> Iterator[None]:
        """The context is current within; an error of CUDA leaves as EngineError with its text."""
        if threading.get_ident() != self._thread:
            raise EngineError("the GPU belongs to the thread that opened it; use and close the engine there")
        if self._closed:
            raise EngineError("the GPU was given back; open the engine again")
        try:
            self._context.push()
            try:
                yield
            finally:
                self._context.pop()
        except self.driver.Error as error:
            raise EngineError(f"CUDA failed: {one_line(error)}; if this stays, restart edge-inspect") from error

    def __enter__(self) -> CudaDevice:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the context back; may be called twice. After an error that broke the context, what is left is the driver's."""
        if self._closed:
            return
        self._closed = True
        try:
            self._context.detach()
        except self.driver.Error as error:
            logger.warning("the CUDA context could not be given back: %s", one_line(error))
