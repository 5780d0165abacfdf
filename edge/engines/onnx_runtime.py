"""ONNX Runtime on the CPU: the engine of workstations and tests, and the reference for TensorRT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge.engines.base import Engine, Outputs
from edge.errors import BundleError, EngineError
from edge.frame import Image
from edge.graph_contract import IMAGE, GraphShape
from edge.slots.calibration_tensors import CalibrationTensors

KEEPS_FLOAT_LAYERS_FLOAT = ["WeightBiasQuantization"]
"""Optimisers that are left out: this one quantises a float layer between two 8-bit ones, by one scale for all channels."""


class OnnxRuntimeEngine(Engine):
    """Runs ``model`` with the outputs asked for only; calibration tensors are held as OrtValues, copied once.

    fused: whether a convolution between 8-bit tensors runs in 8 bits. Else it computes in float on rounded values, as a runtime
    that does not overflow would: a model for TensorRT is judged so.
    """

    def __init__(self, model: Path, shape: GraphShape, threads: int = 0, *, fused: bool = True) -> None:
        super().__init__(shape)
        try:
            import onnxruntime
        except ImportError as error:
            raise BundleError(
                "ONNX Runtime is not installed; run: pip install 'edge-inspect[onnx]', or 'edge-inspect[jetson]' for TensorRT"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # Threads that spin between two nodes take the cores from the camera, the lines and other processes, and so from each other.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if not fused:
            options.add_session_config_entry("session.disable_quant_qdq", "1")
        # A pattern is kept for each choice of outputs: 97 MB more for calibration's two, and no faster.
        options.enable_mem_pattern = False
        self._runtime = onnxruntime
        self._run_options = onnxruntime.RunOptions()
        self._run_options.only_execute_path_to_fetches = True
        self._run_options.log_severity_level = 4
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(model), options, providers=["CPUExecutionProvider"], disabled_optimizers=KEEPS_FLOAT_LAYERS_FLOAT
            )
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise BundleError(f"{model}: ONNX Runtime cannot load it ({_first_line(error)}); export again") from error
        inputs = {i.name: tuple(i.shape) for i in self._session.get_inputs()}
        expected = {IMAGE: (1, shape.height, shape.width, 3), **CalibrationTensors.shapes(shape)}
        if inputs != expected:
            raise BundleError(f"{model}: its inputs {inputs} are not the manifest's {expected}; export again")

    @property
    def runtime(self) -> str:
        return f"onnxruntime-{self._runtime.__version__}-cpu"

    def _bind_impl(self, tensors: CalibrationTensors) -> None:
        # An OrtValue on the CPU works on the array it is given: a copy is what nobody else can write to.
        self._values = {name: self._runtime.OrtValue.ortvalue_from_numpy(array.copy()) for name, array in tensors.items()}

    def _run_impl(self, image: Image, names: tuple[str, ...]) -> Outputs:
        inputs = {IMAGE: self._runtime.OrtValue.ortvalue_from_numpy(image), **self._values}
        try:
            outputs = self._session.run_with_ort_values(list(names), inputs, self._run_options)
        except Exception as error:
            raise EngineError(f"ONNX Runtime failed: {_first_line(error)}") from error
        return {name: value.numpy() for name, value in zip(names, outputs, strict=True)}

    def _close_impl(self) -> None:
        self._session = None
        self._values = {}


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
