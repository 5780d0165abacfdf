"""What one image costs by the graph alone: multiply-adds, parameters, bytes moved, and the roofline time on a Jetson.

Computed, never measured. A layer (LAYERS) reads its inputs and writes its output once; what keeps the shape (activations, sums)
is taken as fused into it, and what only rearranges as free. Its time is the longer of computing and moving (the roofline of
Williams, Waterman & Patterson 2009); a graph's is the sum, since its layers follow each other. Caches may save some of the
moving; a real engine loses more elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import onnx
import onnx.shape_inference
from onnx import ModelProto, NodeProto
from rich.table import Table

PARTS = ("trunk", "head", "decoder", "scoring")
"""Frozen φ; its projections and trainable layers; ψ; everything else, from pixels to light and from Z to the scores."""
PREFIXES = {"model.encoder.trunk.": "trunk", "model.encoder.": "head", "model.decoder.": "decoder"}
LAYERS = {
    "AveragePool", "Conv", "ConvTranspose", "Gemm", "GlobalAveragePool", "MatMul", "MaxPool", "ReduceL2", "ReduceMax", "ReduceMean",
    "ReduceMin", "ReduceSum", "ReduceSumSquare", "Resize", "TopK",
}  # fmt: skip
PRECISIONS = {"fp32": 4, "fp16": 2, "int8": 1}
"""Bytes of a weight and of an activation of φ and ψ; scoring is in FP32 whatever the precision."""


@dataclass(frozen=True)
class Board:
    """Peak rates without sparsity of the GPU alone, in 10¹² operations a second (a multiply-add is two); memory in 10⁹ bytes."""

    name: str
    fp32: float
    fp16: float
    int8: float
    bandwidth: float

    def rate(self, precision: str) -> float:
        """Operations a second."""
        return {"fp32": self.fp32, "fp16": self.fp16, "int8": self.int8}[precision] * 1e12


# NVIDIA publishes INT8 with sparsity; without, it is half, and FP16 half of that. FP32: 2 operations a core and cycle, no TF32.
# Orin Nano 8GB: 1024 cores at 1.02 GHz, 67 TOPS, 102 GB/s (JetPack 6.2, MAXN SUPER; "Orin Nano Developer Kit Gets a Super Boost").
# Orin NX 16GB: 1024 cores at 0.918 GHz, 102.4 GB/s (data sheet); its 100 TOPS are with the DLA, the GPU's 60 follow from the clock.
# AGX Orin 64GB: 2048 cores at 1.3 GHz, 204.8 GB/s (data sheet); GPU 171 TOPS at MAXN (NVIDIA/Deep-Learning-Accelerator-SW, README).
# Thor T5000: 2560 cores at 1.57 GHz, 2070 TFLOPS in FP4 with sparsity, 8 times FP16 without; 273 GB/s (data sheet). INT8 is taken
# to be as fast as FP8.
BOARDS = (
    Board("Orin Nano 8GB", 2.1, 16.7, 33.5, 102.0),
    Board("Orin NX 16GB", 1.9, 15.0, 30.0, 102.4),
    Board("AGX Orin 64GB", 5.3, 42.7, 85.5, 204.8),
    Board("Thor T5000", 8.0, 258.7, 517.5, 273.0),
)


@dataclass(frozen=True)
class Layer:
    """macs: multiply-adds. elements: read and written, weights among them; bytes follow from the precision."""

    name: str
    part: str
    macs: int
    elements: int

    def width(self, precision: str) -> int:
        """Bytes of an element."""
        return PRECISIONS["fp32" if self.part == "scoring" else precision]

    def seconds(self, board: Board, precision: str) -> float:
        """On ``board``."""
        computing = 2 * self.macs / board.rate("fp32" if self.part == "scoring" else precision)
        return max(computing, self.elements * self.width(precision) / (board.bandwidth * 1e9))


@dataclass(frozen=True)
class GraphCost:
    """The layers in order. parameters: part → numbers of φ and ψ; constants of the scoring and C are not among them."""

    layers: list[Layer]
    parameters: dict[str, int]

    def macs(self, part: str | None = None) -> int:
        """Multiply-adds for one image, of all parts where none is named."""
        return sum(layer.macs for layer in self._of(part))

    def bytes(self, precision: str, part: str | None = None) -> int:
        """Bytes read and written for one image."""
        return sum(layer.elements * layer.width(precision) for layer in self._of(part))

    def milliseconds(self, board: Board, precision: str) -> float:
        """Roofline time of one image."""
        return 1e3 * sum(layer.seconds(board, precision) for layer in self.layers)

    def totals(self) -> dict[str, int]:
        """Multiply-adds and parameters of all parts."""
        return {"macs": self.macs(), "parameters": sum(self.parameters.values())}

    def to_json(self) -> dict[str, Any]:
        """Plain values, for the manifest."""
        return {
            "basis": "computed from the graph and published peak rates, not measured",
            "parts": {
                part: {
                    "macs": self.macs(part),
                    "parameters": self.parameters[part],
                    "bytes": {precision: self.bytes(precision, part) for precision in PRECISIONS},
                }
                for part in PARTS
            },
            "roofline_ms": {
                board.name: {precision: round(self.milliseconds(board, precision), 4) for precision in PRECISIONS}
                for board in BOARDS
            },
        }

    def tables(self) -> tuple[Table, Table]:
        """For people: what each part costs, and the time on each board."""
        parts = Table(title="cost of one image, COMPUTED from the graph")
        headings = ("part", "million MACs", "parameters", *(f"MB moved, {precision}" for precision in PRECISIONS))
        for heading in headings:
            parts.add_column(heading, justify="left" if heading == "part" else "right")
        for part in (*PARTS, None):
            parameters = self.totals()["parameters"] if part is None else self.parameters[part]
            moved = (f"{self.bytes(precision, part) / 1e6:.1f}" for precision in PRECISIONS)
            parts.add_row(part or "all", f"{self.macs(part) / 1e6:.1f}", f"{parameters:,}", *moved, style="" if part else "bold")
        boards = Table(title="roofline time of one image in ms, COMPUTED\nfrom published peak rates, NOT MEASURED")
        for heading in ("board", *PRECISIONS):
            boards.add_column(heading, justify="left" if heading == "board" else "right")
        for board in BOARDS:
            boards.add_row(board.name, *(f"{self.milliseconds(board, precision):.2f}" for precision in PRECISIONS))
        return parts, boards

    def _of(self, part: str | None) -> Iterable[Layer]:
        return (layer for layer in self.layers if part in (None, layer.part))


def graph_cost(model: ModelProto) -> GraphCost:
    """Count the layers of an FP32 inspection graph with static shapes; which part one belongs to is in its weights' names."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shapes = {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output, *graph.value_info)
    }
    weights = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    shapes |= weights
    layers = []
    for index, node in enumerate(graph.node):
        if node.op_type in LAYERS:
            moved = {*node.input[: 1 if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul") else None], *node.output}
            elements = sum(math.prod(shapes[name]) for name in moved if name)
            layers.append(Layer(node.name or f"{node.op_type} {index}", _part(node.input), _macs(node, shapes), elements))
    parameters = dict.fromkeys(PARTS, 0)
    for name, dimensions in weights.items():
        if (part := _part([name])) != "scoring":
            parameters[part] += math.prod(dimensions)
    return GraphCost(layers, parameters)


def _part(names: Iterable[str]) -> str:
    for name in names:
        for prefix, part in PREFIXES.items():
            if name.startswith(prefix):
                return part
    return "scoring"


def _macs(node: NodeProto, shapes: dict[str, list[int]]) -> int:
    """Multiply-adds of a convolution or a matrix product; what else there is to compute is not worth counting."""
    if node.op_type == "Conv":
        return math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][1:])
    if node.op_type == "ConvTranspose":
        return math.prod(shapes[node.input[0]]) * math.prod(shapes[node.input[1]][1:])
    if node.op_type in ("MatMul", "Gemm"):
        transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
        return math.prod(shapes[node.output[0]]) * shapes[node.input[0]][0 if transposed else -1]
    return 0
