"""What one image costs, whatever the machine: multiply-adds and parameters of the graph."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from edge.calibration_tensors import CalibrationTensors
from tools.inspection_graph import InspectionGraph
from trainer.model import Model


@dataclass(frozen=True)
class GraphCost:
    """macs: multiply-adds of convolutions and matrix products for one image. parameters: of φ and ψ, C not among them."""

    macs: int
    parameters: int


def graph_cost(model: Model, tensors: CalibrationTensors) -> GraphCost:
    """Count by running the graph once; torch counts two operations for each multiply-add."""
    graph = InspectionGraph(model).eval()
    shape = graph.shape
    image = torch.zeros(1, shape.height, shape.width, 3, dtype=torch.uint8)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        graph(*graph.arguments(image, tensors))
    return GraphCost(counter.get_total_flops() // 2, sum(parameter.numel() for parameter in model.parameters()))
