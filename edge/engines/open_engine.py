"""From a bundle to an engine: ONNX Runtime or TensorRT, which the engine's ``runtime`` tells; there is no other to fall back to."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Literal

from edge.bundle import Bundle
from edge.clock import Clock
from edge.engines.base import Engine
from edge.engines.build_observer import BuildObserver
from edge.engines.cuda_device import import_pycuda
from edge.engines.onnx_runtime import OnnxRuntimeEngine
from edge.engines.open_tensorrt import CPU_ONLY, TENSORRT_ONLY, open_tensorrt
from edge.engines.tensorrt_import import import_tensorrt
from edge.engines.tensorrt_pycuda import ImageMemory
from edge.errors import ConfigError
from edge.storage.locations import state_path

EngineChoice = Literal["auto", "onnxruntime", "tensorrt"]


def open_engine(
    bundle: Bundle,
    precision: str = "fp32",
    threads: int = 0,
    *,
    choice: EngineChoice = "auto",
    state: Path | None = None,
    observer: BuildObserver | None = None,
    image_memory: ImageMemory = "copied",
    clock: Clock | None = None,
) -> Engine:
    """The engine for ``precision``; raises BundleError, ConfigError, and with TensorRT what ``open_tensorrt`` raises.

    choice: "auto" is TensorRT where it can be imported, for every model that is not for the CPU alone; else ONNX Runtime. What
    TensorRT then refuses is an error, and no reason to run something else. threads: of the CPU, 0 is ONNX Runtime's choice.
    state: where plans are kept, by default where ``state_path`` says.
    """
    bundle.model_path(precision)
    if choice == "tensorrt" or (choice == "auto" and not precision.endswith(CPU_ONLY) and tensorrt_is_here(observer)):
        return open_tensorrt(bundle, precision, state_path(state, bundle.path), observer, image_memory, clock=clock)
    if precision == TENSORRT_ONLY:
        raise ConfigError(
            f"the {precision} model is for TensorRT, and ONNX Runtime was chosen or is all there is; "
            f"use --precision {precision}{CPU_ONLY} on a CPU"
        )
    return OnnxRuntimeEngine(bundle.model_path(precision), bundle.manifest.graph, threads)


def open_chosen_engine(
    bundle: Bundle, options: argparse.Namespace, precision: str | None = None, observer: BuildObserver | None = None
) -> Engine:
    """``open_engine`` as the flags of ``add_engine_flags`` say; ``precision`` in place of theirs."""
    return open_engine(
        bundle, precision or options.precision, options.threads, choice=options.engine, state=options.state, observer=observer,
        image_memory=options.image_memory,
    )  # fmt: skip


def tensorrt_is_here(observer: BuildObserver | None) -> bool:
    """True where TensorRT and PyCUDA, which needs NVIDIA's driver, can both be imported. Where only one can, that is told."""
    try:
        import_tensorrt()
    except ConfigError:
        return False
    try:
        import_pycuda()
    except ConfigError as error:
        if observer is not None:
            observer.say(f"TensorRT is here and is not used: {error}")
        return False
    return True
