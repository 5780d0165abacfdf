"""From a bundle to an engine."""

from __future__ import annotations

from edge.bundle import Bundle
from edge.engines.base import Engine
from edge.engines.onnx_runtime import OnnxRuntimeEngine


def open_engine(bundle: Bundle, precision: str = "fp32", threads: int = 0) -> Engine:
    """The engine for ``precision``; raises BundleError. threads: of the CPU, 0 is the runtime's choice."""
    return OnnxRuntimeEngine(bundle.model_path(precision), bundle.manifest.graph, threads)
