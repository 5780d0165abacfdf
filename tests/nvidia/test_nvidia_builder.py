"""Our builder over NVIDIA's own parser and builder: TensorRT-RTX, whose Python API is TensorRT's, without a GPU.

Opt-in: ``pip install '.[nvidia-check]'``, under NVIDIA's licence. It builds ahead of time for SM 8.6,
since 8.7 (Orin) is not among its targets, and can load or run nothing here. What TensorRT proper does may still differ.
"""

from __future__ import annotations

import importlib.machinery
import sys
import types
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
import pytest

pytest.importorskip("tensorrt_rtx_bindings", reason="needs the extra nvidia-check")
import tensorrt_rtx_bindings as rtx

from edge.engines.build_observer import BuildObserver
from edge.engines.tensorrt_builder import BuildSettings, BuiltPlan, build_plan
from edge.errors import BuildStoppedError, PlanError
from tests.standins.tensorrt_standin import API, ENUMS
from tests.tiny_bundle import GRAPH

pytestmark = [pytest.mark.nvidia_check, pytest.mark.filterwarnings("ignore:Use del obj:DeprecationWarning")]


class AheadOfTime(rtx.Builder):  # type: ignore[misc]
    """Builds for a GPU that is not here."""

    def create_builder_config(self) -> object:
        config = super().create_builder_config()
        config.num_compute_capabilities = 1
        config.set_compute_capability(rtx.ComputeCapability.SM86, 0)
        return config


TENSORRT = types.ModuleType("tensorrt")
TENSORRT.__dict__.update({name: value for name, value in vars(rtx).items() if not name.startswith("__") or name == "__version__"})
TENSORRT.__spec__ = importlib.machinery.ModuleSpec("tensorrt", None)  # torch asks for it
TENSORRT.Builder = AheadOfTime  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _nvidias_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", TENSORRT)
    monkeypatch.setattr("edge.engines.tensorrt_builder.STRONG_TYPING_IS_COMPLETE", (0, 0))  # RTX counts from 1.0, and has it


class Steps(BuildObserver):
    def __init__(self, stop_after: int | None = None) -> None:
        self.steps: list[tuple[int, int]] = []
        self._stop_after = stop_after

    def step(self, phase: str, done: int, total: int) -> None:
        self.steps.append((done, total))

    def stopped(self) -> bool:
        return self._stop_after is not None and len(self.steps) > self._stop_after


def build(model: bytes, observer: BuildObserver | None = None, cache: bytes = b"") -> BuiltPlan:
    return build_plan(model, "fp32", BuildSettings(), observer or BuildObserver(), cache)


def tiny() -> bytes:
    return bytes(onnx.parser.parse_model(GRAPH).SerializeToString())


def test_the_tiny_graph_is_built_strongly_typed_and_progress_is_told() -> None:
    steps = Steps()
    built = build(tiny(), steps)
    assert len(built.plan) > 1000
    assert built.weak_typing == ""
    assert steps.steps[0][0] == 0
    assert steps.steps[-1][0] == steps.steps[-1][1] > 0
    assert steps.steps == sorted(steps.steps)


@pytest.mark.parametrize("cache", [b"", b"garbage", bytes(200)])
def test_a_timing_cache_that_does_not_fit_costs_nothing_but_time(cache: bytes) -> None:
    first = build(tiny(), cache=cache)
    assert build(tiny(), cache=first.timing_cache).plan


def test_types_that_do_not_match_are_refused_with_the_parsers_words() -> None:
    text = """<ir_version: 9, opset_import: ["" : 19]> mixed (float[1,4] x, float16[1,4] y) => (float[1,4] z) { z = Add (x, y) }"""
    with pytest.raises(PlanError, match=r"cannot build the fp32 plan: .*must have same input types") as caught:
        build(onnx.parser.parse_model(text).SerializeToString())
    assert "\n" not in str(caught.value)


def test_an_operator_nobody_knows_is_named() -> None:
    text = """<ir_version: 9, opset_import: ["" : 19, "no.such" : 1]> odd (float[4] x) => (float[4] z) { z = no.such.Foo (x) }"""
    with pytest.raises(PlanError, match="Foo"):
        build(onnx.parser.parse_model(text).SerializeToString())


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(PlanError, match="Failed to parse the ONNX model"):
        build(b"not a model")


def test_a_build_can_be_stopped() -> None:
    with pytest.raises(BuildStoppedError):
        build(tiny(), Steps(stop_after=1))


def test_an_fp16_convolution_and_a_quantised_one_are_built() -> None:
    weights = onnx.numpy_helper.from_array(np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float16), "w")
    text = """<ir_version: 9, opset_import: ["" : 19]> half (uint8[1,16,16,3] image) => (float[1,4,14,14] z)
    {
      wide = Cast <to = 1> (image)
      planes = Transpose <perm = [0, 3, 1, 2]> (wide)
      half = Cast <to = 10> (planes)
      y = Conv (half, w)
      z = Cast <to = 1> (y)
    }"""
    model = onnx.parser.parse_model(text)
    model.graph.initializer.append(weights)
    assert build(model.SerializeToString()).weak_typing == ""


def test_the_api_is_the_one_in_the_table() -> None:
    """Names that every version has and the product may use are there in NVIDIA's bindings of today, too."""
    for kind in (*ENUMS, "Builder", "IBuilderConfig", "OnnxParser", "ParserError", "IProgressMonitor", "Runtime", "ICudaEngine",
                 "IExecutionContext", "ITimingCache", "ILogger"):  # fmt: skip
        for name, where in API["classes"][kind].items():
            if where == "all" and not name.startswith(("DLA", "num_DLA", "max_DLA")):
                assert hasattr(getattr(rtx, kind), name), f"{kind}.{name}"


def test_the_exported_graph_is_accepted(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from tools.export_onnx import write_onnx
    from tools.inspection_graph import InspectionGraph
    from trainer.model import Model
    from trainer.train_config import TrainConfig

    torch.manual_seed(0)
    graph = InspectionGraph(Model(TrainConfig())).eval()
    write_onnx(graph, tmp_path / "model.onnx")
    built = build((tmp_path / "model.onnx").read_bytes())
    assert built.weak_typing == ""
    assert len(built.plan) > 100_000


def test_the_fp16_graph_is_strongly_typed_and_every_learned_convolution_is_half(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from tools.convert_fp16 import convert_fp16
    from tools.export_onnx import write_onnx
    from tools.inspection_graph import InspectionGraph
    from trainer.model import Model
    from trainer.train_config import TrainConfig

    torch.manual_seed(0)
    write_onnx(InspectionGraph(Model(TrainConfig())).eval(), tmp_path / "model.onnx")
    half = convert_fp16(onnx.load(tmp_path / "model.onnx"))
    convolutions = [node for node in half.graph.node if node.op_type == "Conv"]
    network = rtx.Builder(rtx.Logger(rtx.Logger.ERROR)).create_network(1 << int(rtx.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = rtx.OnnxParser(network, rtx.Logger(rtx.Logger.ERROR))
    assert parser.parse(half.SerializeToString())
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    types = [layer.get_output(0).dtype for layer in layers if layer.type == rtx.LayerType.CONVOLUTION]
    assert len(types) == len(convolutions)
    assert types.count(rtx.DataType.FLOAT) == 1  # the Laplacian of image quality
    assert types.count(rtx.DataType.HALF) == len(types) - 1
    assert build(half.SerializeToString()).weak_typing == ""


class LayerTable(rtx.ILogger):  # type: ignore[misc]
    """Keeps what the builder says of the layers of a plan."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def log(self, severity: object, message: str) -> None:
        if message.startswith("Layers:"):
            self.text = message

    def convolutions(self) -> list[str]:
        """The type of the first input of each."""
        lines = [line for line in self.text.splitlines() if "LayerType: correlation" in line]
        return [line.split("Datatype: ")[1].split(",")[0] for line in lines]


def quantised_graphs(path: Path) -> tuple[onnx.ModelProto, dict[str, onnx.ModelProto]]:
    torch = pytest.importorskip("torch")
    from edge.slots.calibration_tensors import CalibrationTensors
    from tools.convert_fp16 import convert_fp16
    from tools.export_onnx import write_onnx
    from tools.inspection_graph import InspectionGraph
    from tools.quantize_int8 import CPU, TENSORRT, observe_normal_images, quantise
    from trainer.model import Model
    from trainer.train_config import TrainConfig

    torch.manual_seed(0)
    graph = InspectionGraph(Model(TrainConfig(input_size=256))).eval()
    write_onnx(graph, path)
    wide, random = onnx.load(path), np.random.default_rng(0)
    pictures = [random.integers(0, 256, (256, 256, 3)).astype(np.uint8) for _ in range(2)]
    observed = observe_normal_images(wide, pictures, CalibrationTensors.neutral(graph.shape))
    models = {"int8": quantise(wide, observed, TENSORRT), "int8-cpu": quantise(wide, observed, CPU), "fp16": convert_fp16(wide)}
    return wide, models


def test_every_quantised_convolution_is_int8_and_the_plan_stays_small(tmp_path: Path) -> None:
    _, models = quantised_graphs(tmp_path / "model.onnx")
    weights = {node.output[0] for node in models["int8"].graph.node if node.op_type == "DequantizeLinear"}
    expected = sum(node.op_type == "Conv" and node.input[1] in weights for node in models["int8"].graph.node)
    plans = {}
    for precision in ("int8", "fp16"):
        log = LayerTable()
        builder = AheadOfTime(log)
        network = builder.create_network(1 << int(rtx.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        assert rtx.OnnxParser(network, log).parse(models[precision].SerializeToString())
        config = builder.create_builder_config()
        config.profiling_verbosity = rtx.ProfilingVerbosity.DETAILED
        plans[precision] = len(bytes(builder.build_serialized_network(network, config)))
        if precision == "int8":
            types = log.convolutions()
            assert types.count("Int8") == expected > 30
            assert types.count("Float") <= 1  # the Laplacian of image quality
            assert log.text.count("LayerType: kgen") <= 3 * expected  # with what requantises behind each
    assert plans["int8"] < 3 * plans["fp16"]


def test_the_graph_for_a_cpu_is_refused(tmp_path: Path) -> None:
    _, models = quantised_graphs(tmp_path / "model.onnx")
    with pytest.raises(PlanError):
        build(models["int8-cpu"].SerializeToString())
