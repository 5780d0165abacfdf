"""An FP32 inspection graph in, the same graph with its convolutions in 8 bits out: explicit QuantizeLinear and DequantizeLinear.

What is quantised: the convolutions on the way to a score whose layer is not kept, and only those. Z and X̂ do not come out of an
8-bit layer: the convolutions that write them, and the projection before Z, stay as they are, and so does all that follows.
Two forms of one set of ranges, since what makes one runtime fast the other refuses:

int8 (TensorRT): activations signed and symmetric, float biases; at a residual sum only the residual is quantised, so that the
sum is part of the convolution before it. Depthwise layers and all else that is not quantised are FP16: NVIDIA's builder pads
8-bit depthwise kernels, which makes a plan five times as large.
int8-cpu (ONNX Runtime): activations unsigned, every tensor between two layers quantised, biases 32 bits, so that each layer
becomes one kernel. Weights have 7 bits: a CPU without VNNI adds two products in 16 bits, which 8-bit weights overflow, and
the same file must score the same on every CPU. The rest is FP32.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto

from edge.frame import Image
from edge.graph_contract import FEATURE, RECONSTRUCTION
from edge.slots.calibration_tensors import CalibrationTensors
from tools.convert_fp16 import BETWEEN, PrecisionError, convert_fp16, layer_name, learned_layers
from tools.observe_layers import Observed, observe

ACTIVATIONS = {"Clip", "Relu"}


@dataclass(frozen=True)
class Scheme:
    """How a precision writes its 8 bits. weight_steps: of a weight, on either side of 0. depthwise: whether such layers are in."""

    precision: str
    signed: bool
    weight_steps: int
    depthwise: bool


TENSORRT = Scheme("int8", signed=True, weight_steps=127, depthwise=False)
CPU = Scheme("int8-cpu", signed=False, weight_steps=64, depthwise=True)
SCHEMES = {scheme.precision: scheme for scheme in (TENSORRT, CPU)}


def quantisable_layers(model: ModelProto, scheme: Scheme) -> list[str]:
    """Names of the layers that may be quantised, in the order of computation."""
    return list(dict.fromkeys(layer_name(model.graph.node[i]) for i in _convolutions(model, scheme, ())))


def observe_normal_images(
    model: ModelProto, pictures: Iterable[Image], calibration: CalibrationTensors, told: Callable[[], None] = lambda: None
) -> Observed:
    """What ``quantise`` needs to know, for either scheme and whatever is kept; ``told`` is called after each picture."""
    tensors = _Placement(model, TENSORRT, ()).tensors | _Placement(model, CPU, ()).tensors
    return observe(model, sorted(tensors), _convolutions(model, CPU, ()), pictures, calibration, told)


def quantise(model: ModelProto, observed: Observed, scheme: Scheme, kept: Collection[str] = ()) -> ModelProto:
    """The form of ``model`` by ``scheme``; names and types of inputs and outputs are the same, ``model`` stays as it is.

    observed: by ``observe_normal_images``. kept: layers that are not quantised. Raises PrecisionError where none is left.
    """
    placement = _Placement(model, scheme, kept)
    if not placement.convolutions:
        raise PrecisionError(f"{scheme.precision}: expected convolutions that may be quantised, the graph has none")
    written = _Writer(model, placement, observed).written()
    return convert_fp16(written) if scheme is TENSORRT else written


def _convolutions(model: ModelProto, scheme: Scheme, kept: Collection[str]) -> list[int]:
    """Indices of the nodes to quantise, rising."""
    nodes, layers = list(model.graph.node), learned_layers(model)
    readers = _readers(model)
    follow = {i: _follow(nodes, readers, i, layers) for i in layers}
    last = {i for i in layers if follow[i].ends}
    writing_z = {i for i in layers if follow[i].writes_z}
    straight = {i for i in layers if not follow[i].activated}
    projections = {i for i in straight if any(_pointwise(nodes[i], nodes[j], model) for j in follow[i].layers & writing_z)}
    wanted = layers - last - projections
    return sorted(
        i for i in wanted
        if nodes[i].op_type == "Conv" and layer_name(nodes[i]) not in kept and (scheme.depthwise or _groups(nodes[i]) == 1)
    )  # fmt: skip


def _groups(node: NodeProto) -> int:
    return next((one.i for one in node.attribute if one.name == "group"), 1)


@dataclass
class _Following:
    """What comes after a layer before any other: those others, Z, Z or X̂ or scoring, an activation."""

    layers: set[int] = field(default_factory=set)
    writes_z: bool = False
    ends: bool = False
    activated: bool = False


def _follow(nodes: list[NodeProto], readers: dict[str, list[int]], layer: int, layers: set[int]) -> _Following:
    found = _Following()
    names = list(nodes[layer].output)
    while names:
        name = names.pop()
        if name in (FEATURE, RECONSTRUCTION):
            found.ends = True
            found.writes_z |= name == FEATURE
            continue
        for i in readers.get(name, []):
            if i in layers:
                found.layers.add(i)
            elif nodes[i].op_type in BETWEEN:
                found.activated |= nodes[i].op_type in ACTIVATIONS
                names.extend(nodes[i].output)
            else:
                found.ends = True
    return found


def _pointwise(first: NodeProto, second: NodeProto, model: ModelProto) -> bool:
    """Both are 1×1 convolutions."""
    sizes = {tensor.name: tuple(tensor.dims[2:]) for tensor in model.graph.initializer}
    return all(node.op_type == "Conv" and sizes.get(node.input[1]) == (1, 1) for node in (first, second))


def _readers(model: ModelProto) -> dict[str, list[int]]:
    readers: dict[str, list[int]] = {}
    for i, node in enumerate(model.graph.node):
        for name in dict.fromkeys(node.input):
            readers.setdefault(name, []).append(i)
    return readers


class _Placement:
    """Which tensors of ``model`` are quantised, and who reads them so.

    convolutions: indices of the quantised nodes. tensors: names. reads: (node index, name) of the 8-bit reads.
    activation: quantised convolution → the activation that alone reads it.
    """

    def __init__(self, model: ModelProto, scheme: Scheme, kept: Collection[str]) -> None:
        self.scheme = scheme
        self.convolutions = _convolutions(model, scheme, kept)
        nodes, readers = list(model.graph.node), _readers(model)
        put_out = {value.name for value in model.graph.output}
        self.activation: dict[int, int] = {}
        for i in self.convolutions:
            reading = readers.get(nodes[i].output[0], [])
            if len(reading) == 1 and nodes[reading[0]].op_type in ACTIVATIONS and nodes[i].output[0] not in put_out:
                self.activation[i] = reading[0]
        self.tensors = {nodes[i].input[0] for i in self.convolutions}
        self.reads = {(i, nodes[i].input[0]) for i in self.convolutions}
        made = {name: i for i, node in enumerate(nodes) for name in node.output}
        sums = [i for i, node in enumerate(nodes) if node.op_type == "Add"]
        if scheme.signed:
            for i in sums:
                fresh = [name for name in nodes[i].input if made.get(name) in self.convolutions and len(readers[name]) == 1]
                others = [name for name in nodes[i].input if name not in fresh[-1:]]
                if fresh and others and others[0] in self.tensors:
                    self.reads.add((i, others[0]))
            return
        self.tensors |= {nodes[self.activation.get(i, i)].output[0] for i in self.convolutions}
        for i in sums:
            if set(nodes[i].input) <= self.tensors:
                self.tensors.add(nodes[i].output[0])
        self.reads |= {(i, name) for name in self.tensors for i in readers.get(name, [])}


class _Writer:
    """Writes one placement into a copy of the model."""

    def __init__(self, model: ModelProto, placement: _Placement, observed: Observed) -> None:
        self._model, self._placement, self._scheme = model, placement, placement.scheme
        self._constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        made = {name: node for node in model.graph.node for name in node.output}
        self._scales: dict[str, tuple[np.float32, int]] = {}
        self._ranges: dict[str, tuple[float, float]] = {}
        for name in placement.tensors:
            source = name
            while (node := made.get(source)) is not None and node.op_type == "Resize" and node.input[0] in placement.tensors:
                source = node.input[0]  # it repeats values, and with one scale for both that costs nothing
            self._scales[name], self._ranges[name] = _scale(observed, source, self._scheme)
        self._observed = observed
        self._written = ModelProto()
        self._known: set[str] = set()

    def written(self) -> ModelProto:
        """The new model."""
        placement, graph = self._placement, self._written.graph
        self._written.CopyFrom(self._model)
        for part in (graph.node, graph.value_info):
            del part[:]
        dropped = {a: i for i, a in placement.activation.items() if self._is_in_the_range(self._model.graph.node[a])}
        for i, node in enumerate(self._model.graph.node):
            if i in dropped:
                continue
            kept = NodeProto()
            kept.CopyFrom(node)
            kept.input[:] = [f"{name}.dq8" if (i, name) in placement.reads else name for name in node.input]
            if i in placement.convolutions:
                self._write_weights(kept, i)
            graph.node.append(kept)
            for name in node.output:
                self._write_pair(name, name)
            activation = placement.activation.get(i)
            if activation in dropped:
                self._write_pair(self._model.graph.node[activation].output[0], node.output[0])
        read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
        for tensor in [one for one in graph.initializer if one.name not in read]:
            graph.initializer.remove(tensor)
        return self._written

    def _is_in_the_range(self, activation: NodeProto) -> bool:
        """Whether quantising its output cuts off all that it cuts off itself, so that it need not run."""
        name = activation.output[0]
        if self._scheme.signed or name not in self._placement.tensors:
            return False
        bounds = [self._constants.get(one) for one in activation.input[1:]] if activation.op_type == "Clip" else [np.float32(0)]
        low, high = [*bounds, None, None][:2]
        in_low = low is None or float(low) <= self._ranges[name][0]
        return in_low and (high is None or float(high) >= self._ranges[name][1])

    def _write_pair(self, name: str, source: str) -> None:
        """Q and DQ of the tensor ``name``, which ``source`` holds."""
        if name not in self._placement.tensors:
            return
        scale, zero = self._scales[name]
        kind = np.int8 if self._scheme.signed else np.uint8
        self._constant(f"{name}.scale8", np.asarray(scale, np.float32))
        self._constant(f"{name}.zero8", np.asarray(zero, kind))
        parameters = [f"{name}.scale8", f"{name}.zero8"]
        self._node("QuantizeLinear", [source, *parameters], f"{name}.q8")
        self._node("DequantizeLinear", [f"{name}.q8", *parameters], f"{name}.dq8")

    def _write_weights(self, node: NodeProto, index: int) -> None:
        weight, bias = node.input[1], node.input[2] if len(node.input) > 2 else ""
        steps, scales, correction = self._observed.rounded(weight, self._constants[weight], self._scheme.weight_steps)
        self._constant(f"{weight}.q8", steps)
        self._constant(f"{weight}.scale8", scales)
        self._constant(f"{weight}.zero8", np.zeros(len(scales), np.int8))
        self._node("DequantizeLinear", [f"{weight}.q8", f"{weight}.scale8", f"{weight}.zero8"], f"{weight}.dq8.{index}", axis=0)
        corrected = (self._constants[bias] if bias else np.float32(0)) + correction
        name = f"{bias or weight}.corrected8"
        if not self._scheme.signed:
            scales = scales * self._scales[self._model.graph.node[index].input[0]][0]
            corrected = np.rint(corrected / scales).clip(-(2**31), 2**31 - 1).astype(np.int32)
            name = f"{name}.{index}"
            self._constant(f"{name}.scale", scales)
            self._node("DequantizeLinear", [name, f"{name}.scale"], f"{name}.dq8", axis=0)
        self._constant(name, corrected)
        node.input[:] = [node.input[0], f"{weight}.dq8.{index}", name if self._scheme.signed else f"{name}.dq8"]

    def _node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self._written.graph.node.append(onnx.helper.make_node(kind, inputs, [output], name=f"write {output}", **attributes))

    def _constant(self, name: str, values: NDArray[Any]) -> None:
        if name not in self._known:
            self._known.add(name)
            self._written.graph.initializer.append(onnx.numpy_helper.from_array(values, name))


def _scale(observed: Observed, tensor: str, scheme: Scheme) -> tuple[tuple[np.float32, int], tuple[float, float]]:
    """(scale, zero point) of a tensor, and the range they span."""
    low, high = observed.range_of(tensor, signed=scheme.signed)
    if scheme.signed:
        return (np.float32(high / 127), 0), (low, high)
    scale = np.float32((high - low) / 255)
    return (scale, round(-low / float(scale))), (low, high)
