"""The cost of a graph, against a count by layer."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
import torch
from torch import nn

from edge.calibration_tensors import CalibrationTensors
from tests.trainer.conftest import SMALL
from tools.benchmark.graph_cost import graph_cost
from tools.inspection_graph import InspectionGraph
from trainer.model import Model
from trainer.train_config import TrainConfig

pytestmark = pytest.mark.torch


def test_every_convolution_and_the_distances_to_the_centres_are_counted() -> None:
    model = Model(TrainConfig.model_validate(SMALL))
    graph = InspectionGraph(model)
    shape = graph.shape
    tensors = CalibrationTensors.neutral(shape)
    convolutions = [0]

    def count(layer: nn.Module, _: tuple[torch.Tensor, ...], result: torch.Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        convolutions[0] += result.numel() * layer.weight[0].numel()

    hooks = [layer.register_forward_hook(count) for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    with torch.no_grad():
        graph(*graph.arguments(torch.zeros(1, shape.height, shape.width, 3, dtype=torch.uint8), tensors))
    for hook in hooks:
        hook.remove()
    cells = shape.map_height * shape.map_width
    fine, deep = shape.groups
    coarse = shape.group_grid(deep)[0] * shape.group_grid(deep)[1]
    distances = (fine.channels + 1) * shape.centers * cells + deep.channels**2 * coarse
    laplacian = 9 * (shape.height - 2) * (shape.width - 2)
    cost = graph_cost(model, tensors)
    assert cost.macs == convolutions[0] + distances + laplacian
    assert cost.parameters == sum(value.numel() for name, value in model.state_dict().items() if name != "center")
