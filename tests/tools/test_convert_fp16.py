"""The FP16 graph: half where it is learned, FP32 where digits count, and nothing cast there and back."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import onnx.parser
import onnx.shape_inference
import pytest

pytest.importorskip("torch")
from pathlib import Path

import torch
from onnx import ModelProto, TensorProto

from tests.tiny_bundle import GRAPH
from tools.convert_fp16 import PrecisionError, convert_fp16
from tools.export_onnx import write_onnx
from tools.inspection_graph import InspectionGraph
from trainer.model import Model
from trainer.train_config import TrainConfig

pytestmark = pytest.mark.torch

SMALL = {"input_size": 128, "centers": 16}
VARIANTS: dict[str, dict[str, object]] = {
    "default": SMALL,
    "cnn": SMALL | {"encoder": "cnn", "reconstruction_error": "l2", "feature_norm": "nearest"},
    "mlp": SMALL | {"encoder": "mlp", "feature": "vector", "reconstruction_error": "l2", "feature_norm": "l2"},
    "vector": SMALL | {"feature": "vector", "feature_norm": "l2"},
}


@pytest.fixture(scope="module", params=VARIANTS)
def models(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelProto, ModelProto]:
    torch.manual_seed(0)
    path: Path = tmp_path_factory.mktemp("fp16") / "model.onnx"
    write_onnx(InspectionGraph(Model(TrainConfig.model_validate(VARIANTS[request.param]))).eval(), path)
    wide = onnx.load(path)
    return wide, convert_fp16(wide)


def types(model: ModelProto) -> dict[str, int]:
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, check_type=True).graph
    known = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.input, *graph.output)}
    return known | {tensor.name: tensor.data_type for tensor in graph.initializer}


def test_the_graph_is_valid_and_its_contract_is_the_same(models: tuple[ModelProto, ModelProto]) -> None:
    wide, half = models
    onnx.checker.check_model(half, full_check=True)
    assert list(half.graph.input) == list(wide.graph.input)
    assert list(half.graph.output) == list(wide.graph.output)
    assert [node.op_type for node in half.graph.node if "image" in node.input] == ["Cast"]
    names = [node.name for node in half.graph.node if node.name]
    assert len(names) == len(set(names))


def test_every_learned_layer_is_half_and_its_weights_are_stored_so(models: tuple[ModelProto, ModelProto]) -> None:
    half, known = models[1], types(models[1])
    layers = [node for node in half.graph.node if node.op_type in ("Conv", "Gemm") and "laplacian" not in node.input]
    assert len(layers) >= 5
    for node in layers:
        assert {known[name] for name in (*node.input, *node.output)} == {TensorProto.FLOAT16}, node.name
    assert not [
        t.name for t in half.graph.initializer if t.data_type == TensorProto.FLOAT and t.name.endswith((".weight", ".bias"))
    ]


def test_statistics_and_scores_stay_fp32(models: tuple[ModelProto, ModelProto]) -> None:
    half, known = models[1], types(models[1])
    sums = {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "MatMul", "Sqrt", "Pow", "Div", "Sub", "Mul"}
    for node in half.graph.node:
        if node.op_type in sums or "laplacian" in node.input:
            assert all(known[name] != TensorProto.FLOAT16 for name in (*node.input, *node.output)), node.name


def test_no_tensor_is_cast_there_and_back(models: tuple[ModelProto, ModelProto]) -> None:
    casts = {node.output[0]: node.input[0] for node in models[1].graph.node if node.op_type == "Cast"}
    assert not set(casts) & set(casts.values())
    added = len(casts) - sum(node.op_type == "Cast" for node in models[0].graph.node)
    assert 0 < added <= 8
    assert len([source for source in casts.values() if source != "image"]) == len(set(casts.values()) - {"image"})


def test_the_source_is_left_as_it_was(models: tuple[ModelProto, ModelProto]) -> None:
    before = models[0].SerializeToString(deterministic=True)
    convert_fp16(models[0])
    assert models[0].SerializeToString(deterministic=True) == before


def test_a_weight_beyond_half_is_refused_by_name() -> None:
    model = onnx.parser.parse_model(
        """<ir_version: 9, opset_import: ["" : 19]> one (float[1,1,4,4] x) => (float[1,1,4,4] score) { score = Conv (x, w) }"""
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.full((1, 1, 1, 1), 7e4, np.float32), "w"))
    with pytest.raises(PrecisionError, match=r"weight w has the value 7e\+04.*use fp32"):
        convert_fp16(model)


def test_a_graph_without_layers_is_refused() -> None:
    with pytest.raises(PrecisionError, match="the graph has none"):
        convert_fp16(onnx.parser.parse_model(GRAPH))
