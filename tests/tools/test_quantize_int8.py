"""The 8-bit graphs: the rules that NVIDIA's parser and ONNX Runtime hold them to, ranges and rounding, and what is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import onnx.shape_inference
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")
import torch
from onnx import ModelProto, NodeProto, TensorProto

from edge.engines.onnx_runtime import OnnxRuntimeEngine
from edge.graph_contract import GraphShape
from edge.slots.calibration_tensors import CalibrationTensors
from tests.tools.test_convert_fp16 import types
from tools.activation_ranges import Histogram, asymmetric_range, symmetric_range
from tools.convert_fp16 import PrecisionError, layer_name
from tools.export_onnx import write_onnx
from tools.inspection_graph import InspectionGraph
from tools.observe_layers import Observed
from tools.quantize_int8 import CPU, TENSORRT, observe_normal_images, quantisable_layers, quantise
from tools.weight_rounding import InputMoments, round_weight
from trainer.model import Model
from trainer.train_config import TrainConfig

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def shape_and_path(tmp_path_factory: pytest.TempPathFactory) -> tuple[GraphShape, Path]:
    torch.manual_seed(0)
    path: Path = tmp_path_factory.mktemp("int8") / "model.onnx"
    graph = InspectionGraph(Model(TrainConfig.model_validate({"input_size": 128, "centers": 16}))).eval()
    write_onnx(graph, path)
    return graph.shape, path


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (128, 128, 3)).astype(np.uint8) for _ in range(4)]


@pytest.fixture(scope="module")
def wide(shape_and_path: tuple[GraphShape, Path]) -> ModelProto:
    return onnx.load(shape_and_path[1])


@pytest.fixture(scope="module")
def observed(wide: ModelProto, shape_and_path: tuple[GraphShape, Path], pictures: list[np.ndarray]) -> Observed:
    return observe_normal_images(wide, pictures, CalibrationTensors.neutral(shape_and_path[0]))


@pytest.fixture(scope="module")
def tensorrt(wide: ModelProto, observed: Observed) -> ModelProto:
    return quantise(wide, observed, TENSORRT)


@pytest.fixture(scope="module")
def cpu(wide: ModelProto, observed: Observed) -> ModelProto:
    return quantise(wide, observed, CPU)


def constants(model: ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def nodes(model: ModelProto, *kinds: str) -> list[NodeProto]:
    return [node for node in model.graph.node if node.op_type in kinds]


def quantised(model: ModelProto) -> list[NodeProto]:
    weights = {node.output[0] for node in nodes(model, "DequantizeLinear")}
    return [node for node in nodes(model, "Conv") if node.input[1] in weights]


def test_both_graphs_are_valid_and_keep_the_contract(wide: ModelProto, tensorrt: ModelProto, cpu: ModelProto) -> None:
    for model in (tensorrt, cpu):
        onnx.checker.check_model(model, full_check=True)
        assert list(model.graph.input) == list(wide.graph.input)
        assert list(model.graph.output) == list(wide.graph.output)
        assert [node.op_type for node in model.graph.node if "image" in node.input] == ["Cast"]
        assert [one.version for one in model.opset_import if one.domain == ""] == [19]
        types(model)  # strict inference, which checks them along every edge


def test_what_nvidias_parser_asks_for(tensorrt: ModelProto) -> None:
    values, known = constants(tensorrt), types(tensorrt)
    pairs = nodes(tensorrt, "QuantizeLinear", "DequantizeLinear")
    assert len(pairs) > 50
    for node in pairs:
        assert values[node.input[1]].dtype == np.float32
        assert values[node.input[2]].dtype == np.int8
        assert not values[node.input[2]].any()
    for node in nodes(tensorrt, "DequantizeLinear"):
        assert known[node.input[0]] == TensorProto.INT8
    for node in quantised(tensorrt):
        assert known[node.input[2]] == TensorProto.FLOAT
        assert next((one.i for one in node.attribute if one.name == "group"), 1) == 1


def test_weights_have_one_scale_an_output_channel(tensorrt: ModelProto, cpu: ModelProto) -> None:
    for model, most in ((tensorrt, 127), (cpu, 64)):
        values = constants(model)
        made = {node.output[0]: node for node in nodes(model, "DequantizeLinear")}
        for node in quantised(model):
            dequantise = made[node.input[1]]
            weight = values[dequantise.input[0]]
            assert next(one.i for one in dequantise.attribute if one.name == "axis") == 0
            assert values[dequantise.input[1]].shape == (len(weight),)
            assert np.abs(weight.astype(int)).max() <= most


def test_z_and_the_reconstruction_do_not_come_out_of_8_bits(tensorrt: ModelProto, cpu: ModelProto) -> None:
    for model in (tensorrt, cpu):
        names = {layer_name(node) for node in nodes(model, "Conv") if node not in quantised(model)}
        for kept in ("encoder.project_fine", "encoder.project_deep", "encoder.head.0", "decoder.to_image", "decoder.to_feature"):
            assert any(name.startswith(kept) for name in names), kept


def test_what_is_left_for_tensorrt_is_half(tensorrt: ModelProto) -> None:
    known, in_8_bits = types(tensorrt), quantised(tensorrt)
    for node in nodes(tensorrt, "Conv"):
        if node not in in_8_bits and "laplacian" not in node.input:
            assert {known[name] for name in (*node.input, *node.output)} == {TensorProto.FLOAT16}, node.name


def test_onnx_runtime_makes_one_kernel_of_each_layer(cpu: ModelProto, tmp_path: Path) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(cpu.SerializeToString(), options, providers=["CPUExecutionProvider"])
    optimised = onnx.load(tmp_path / "optimised.onnx")
    assert len(nodes(optimised, "QLinearConv")) == len(quantised(cpu))


@pytest.mark.parametrize("scheme", [TENSORRT, CPU], ids=lambda scheme: scheme.precision)
def test_it_scores_about_as_the_fp32_model(
    wide: ModelProto, observed: Observed, shape_and_path: tuple[GraphShape, Path], pictures: list[np.ndarray], tmp_path: Path,
    scheme: object,
) -> None:  # fmt: skip
    shape, path = shape_and_path
    small = tmp_path / "small.onnx"
    onnx.save(quantise(wide, observed, scheme), small)  # type: ignore[arg-type]
    tensors = CalibrationTensors.neutral(shape)
    with OnnxRuntimeEngine(path, shape) as exact, OnnxRuntimeEngine(small, shape, fused=scheme is CPU) as rounded:
        exact.bind(tensors)
        rounded.bind(tensors)
        for picture in pictures:
            assert rounded.infer(picture).scores.score == pytest.approx(exact.infer(picture).scores.score, rel=0.05)
            expected, got = exact.read_feature(picture)[0], rounded.read_feature(picture)[0]
            assert 0 < np.abs(got - expected).mean() < 0.1 * np.abs(expected).mean() + 0.1 * expected.std()


def test_a_kept_layer_stays_in_float_and_the_source_as_it_was(wide: ModelProto, observed: Observed) -> None:
    before = wide.SerializeToString(deterministic=True)
    kept = quantisable_layers(wide, CPU)[:3]
    model = quantise(wide, observed, CPU, kept)
    assert wide.SerializeToString(deterministic=True) == before
    floats = {layer_name(node) for node in nodes(model, "Conv") if node not in quantised(model)}
    assert set(kept) <= floats
    with pytest.raises(PrecisionError, match="int8-cpu: expected convolutions that may be quantised"):
        quantise(wide, observed, CPU, quantisable_layers(wide, CPU))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_values_without_an_end_have_no_range(value: float) -> None:
    with pytest.raises(PrecisionError, match="not finite"):
        Histogram().add(np.array([0.0, value, 1.0], np.float32))


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=200))
def test_a_range_lies_within_what_was_seen_and_holds_zero(values: list[float]) -> None:
    histogram = Histogram()
    for part in (values[: len(values) // 2], values[len(values) // 2 :]):
        if part:
            histogram.add(np.array(part, np.float32))
    assert histogram.counts.sum() == np.count_nonzero(np.array(values, np.float32))
    low, high = asymmetric_range(histogram)
    assert low <= 0 <= high
    assert low < high
    if any(values):
        assert min(0, *values) <= low
        assert high <= max(0, *values)
    below, above = symmetric_range(histogram)
    assert below == -above < 0


def test_an_outlier_is_clipped_where_that_loses_less() -> None:
    histogram, random = Histogram(), np.random.default_rng(0)
    values = random.normal(size=100_000).astype(np.float32)
    histogram.add(np.append(values, np.float32(60)))
    high = symmetric_range(histogram)[1]
    assert high < 50

    def loss(limit: float) -> float:
        step = limit / 127
        rounded = np.clip(np.rint(values / step), -127, 127) * step
        return float(((rounded - values) ** 2).sum() + max(0, 60 - limit) ** 2)

    assert loss(high) <= 1.05 * min(loss(one) for one in np.linspace(1, 60, 300))


def test_rounding_by_what_a_layer_sees_loses_less_than_the_nearest_step() -> None:
    """A filter for edges on a bright ground: its weights sum to 0, and so have to those that were rounded."""
    random = np.random.default_rng(0)
    inputs = (5 + random.normal(size=(4000, 1, 9)) * 0.3).astype(np.float32)
    moments = InputMoments(1, 9)
    moments.add(inputs)
    weight = random.normal(size=(8, 1, 3, 3)).astype(np.float32)
    weight -= weight.mean(axis=(1, 2, 3), keepdims=True)
    steps, scales, bias = round_weight(weight, moments, 64)
    rows = weight.reshape(8, 9)
    nearest = np.rint(rows / scales[:, None]) * scales[:, None]
    exact = inputs[:, 0] @ rows.T
    ours = inputs[:, 0] @ (steps.reshape(8, 9) * scales[:, None]).T + bias
    assert ((ours - exact) ** 2).mean() < 0.2 * ((inputs[:, 0] @ nearest.T - exact) ** 2).mean()
    assert (ours - exact).mean(axis=0) == pytest.approx(0, abs=1e-4)
