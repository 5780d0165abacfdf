"""A machine with a stand-in GPU: the modules ``tensorrt``, ``pycuda`` and ``cuda.bindings``, put where they are imported from."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass, field

import pytest

from tests.standins import cuda_bindings_standin, pycuda_standin
from tests.standins.gpu_standin import Gpu
from tests.standins.tensorrt_standin import Faults, make_tensorrt


@dataclass
class Machine:
    """``install`` may be called again, for another version of TensorRT on the same machine."""

    monkeypatch: pytest.MonkeyPatch
    gpu: Gpu = field(default_factory=Gpu)
    faults: Faults = field(default_factory=Faults)

    def install(self, version: str = "10.3.0", graphs: bool = False, graph_refuses: str = "") -> Machine:
        driver = pycuda_standin.make_driver(self.gpu)
        pycuda = types.ModuleType("pycuda")
        pycuda.driver = driver  # type: ignore[attr-defined]
        self._put("pycuda", pycuda)
        self._put("pycuda.driver", driver)
        self._put("tensorrt", make_tensorrt(self.gpu, version, self.faults))
        self._put("cuda", None)
        self._put("cuda.bindings", None)
        if graphs:
            bindings = types.ModuleType("cuda.bindings")
            bindings.driver = cuda_bindings_standin.make_driver(self.gpu, graph_refuses)  # type: ignore[attr-defined]
            cuda = types.ModuleType("cuda")
            cuda.bindings = bindings  # type: ignore[attr-defined]
            self._put("cuda", cuda)
            self._put("cuda.bindings", bindings)
            self._put("cuda.bindings.driver", bindings.driver)
        return self

    def assert_clean(self) -> None:
        """No rule was broken, and everything was given back."""
        assert self.gpu.violations == []
        assert self.gpu.bytes_held == 0
        assert self.gpu.retained == 0
        assert self.gpu.contexts == []

    def _put(self, name: str, module: types.ModuleType | None) -> None:
        self.monkeypatch.setitem(sys.modules, name, module)  # type: ignore[arg-type]
