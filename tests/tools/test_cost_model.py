"""The cost of a graph: against numbers by hand, and of a real one against a count by layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import ModelProto

from tools.cost_model import BOARDS, PRECISIONS, Board, Layer, graph_cost

GRAPH = """
<ir_version: 9, opset_import: ["" : 19]>
small (float[1,3,8,8] image, float[5,4] centers_0) => (float[5] score)
<int64[2] rows = {4, 16}, int64[1] across = {1}>
{
  x = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (image, weight_0, bias_0)
  y = Relu (x)
  z = Conv <group = 4, pads = [1, 1, 1, 1]> (y, weight_1)
  r = Reshape (z, rows)
  s = MatMul (centers_0, r)
  score = ReduceMin <keepdims = 0> (s, across)
}
"""


def small_graph() -> ModelProto:
    model = onnx.parser.parse_model(GRAPH)
    weights = {
        "weight_0": ("model.encoder.trunk.conv.weight", (4, 3, 3, 3)),
        "bias_0": ("model.encoder.trunk.conv.bias", (4,)),
        "weight_1": ("model.encoder.head.0.weight", (4, 1, 3, 3)),
    }
    for placeholder, (name, shape) in weights.items():  # the parser takes no dots in a name
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(shape, np.float32), name))
        for node in model.graph.node:
            node.input[:] = [name if given == placeholder else given for given in node.input]
    onnx.checker.check_model(model, full_check=True)
    return model


def test_a_small_graph_costs_what_is_counted_by_hand() -> None:
    cost = graph_cost(small_graph())
    assert [(layer.part, layer.macs, layer.elements) for layer in cost.layers] == [
        ("trunk", 4 * 4 * 4 * 27, 3 * 64 + 4 * 27 + 4 + 4 * 16),
        ("head", 4 * 4 * 4 * 9, 4 * 16 + 4 * 9 + 4 * 16),
        ("scoring", 5 * 16 * 4, 5 * 4 + 4 * 16 + 5 * 16),
        ("scoring", 0, 5 * 16 + 5),
    ]
    assert cost.parameters == {"trunk": 4 * 27 + 4, "head": 36, "decoder": 0, "scoring": 0}
    assert cost.totals() == {"macs": 1728 + 576 + 320, "parameters": 148}
    assert cost.bytes("fp32", "trunk") == 4 * 368
    assert cost.bytes("fp16") == 2 * (368 + 164) + 4 * (164 + 85)
    assert cost.bytes("int8") == 368 + 164 + 4 * (164 + 85)


def test_a_layer_takes_the_longer_of_computing_and_moving() -> None:
    board = Board("made up", fp32=1.0, fp16=2.0, int8=4.0, bandwidth=100.0)
    computing = Layer("conv", "trunk", macs=10**9, elements=1000)
    assert computing.seconds(board, "fp16") == pytest.approx(2e9 / 2e12)
    moving = Layer("conv", "trunk", macs=1, elements=10**8)
    assert moving.seconds(board, "int8") == pytest.approx(1e8 / 100e9)
    assert moving.seconds(board, "fp32") == pytest.approx(4e8 / 100e9)
    scoring = Layer("matmul", "scoring", macs=10**9, elements=1000)
    assert scoring.seconds(board, "int8") == scoring.seconds(board, "fp32") == pytest.approx(2e9 / 1e12)


def test_the_record_and_the_tables_say_that_nothing_was_measured() -> None:
    cost = graph_cost(small_graph())
    record = cost.to_json()
    assert "not measured" in record["basis"]
    assert set(record["roofline_ms"]) == {board.name for board in BOARDS}
    for board in BOARDS:
        fp32, fp16, int8 = (cost.milliseconds(board, precision) for precision in PRECISIONS)
        assert fp32 >= fp16 >= int8 > 0
    assert "NOT MEASURED" in str(cost.tables()[1].title)


@pytest.mark.torch
def test_every_layer_of_a_real_graph_is_counted(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from edge.slots.calibration_tensors import CalibrationTensors
    from tests.trainer.conftest import SMALL
    from tools.export_onnx import write_onnx
    from tools.inspection_graph import InspectionGraph
    from trainer.model import Model
    from trainer.train_config import TrainConfig

    model = Model(TrainConfig.model_validate(SMALL))
    for parameter in model.parameters():  # the exporter writes equal tensors, such as biases of 0, once
        parameter.data += torch.rand_like(parameter) * 1e-3
    graph = InspectionGraph(model).eval()
    shape = graph.shape
    parts = {"trunk": 0, "head": 0, "decoder": 0}

    def counted(part: str):  # type: ignore[no-untyped-def]
        def count(layer, _, result) -> None:  # type: ignore[no-untyped-def]
            parts[part] += result.numel() * layer.weight[0].numel()

        return count

    hooks = []
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Conv2d):
            part = "decoder" if name.startswith("decoder") else "trunk" if "trunk" in name else "head"
            hooks.append(layer.register_forward_hook(counted(part)))
    with torch.no_grad():
        image = torch.zeros(1, shape.height, shape.width, 3, dtype=torch.uint8)
        graph(*graph.arguments(image, CalibrationTensors.neutral(shape)))
    for hook in hooks:
        hook.remove()
    write_onnx(graph, tmp_path / "model.onnx")
    cells = shape.map_height * shape.map_width
    fine, deep = shape.groups
    coarse = shape.group_grid(deep)[0] * shape.group_grid(deep)[1]
    distances = (fine.channels + 1) * shape.centers * cells + deep.channels**2 * coarse
    laplacian = 9 * (shape.height - 2) * (shape.width - 2)
    cost = graph_cost(onnx.load(tmp_path / "model.onnx"))
    assert {part: cost.macs(part) for part in parts} == parts
    assert cost.macs("scoring") == distances + laplacian
    assert cost.totals()["parameters"] == sum(value.numel() for name, value in model.state_dict().items() if name != "center")
