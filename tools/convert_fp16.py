"""An FP32 inspection graph in, the same graph with its learned layers in FP16 out; types are explicit, for strong typing.

Which nodes: those with learned weights on the way to a score, Z or X̂, and what lies between two of them (activations,
pooling, resizing). Hence in FP32: the pixels until they are normalised (their squares overflow half), image quality, and everything
from Z and from the decoder's outputs on to the scores (a difference of distances loses its digits in half).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.shape_inference
from onnx import ModelProto, NodeProto, TensorProto

from edge.errors import EdgeInspectError
from edge.graph_contract import FEATURE, RECONSTRUCTION, SCORES

LINEAR = {"Conv", "Gemm"}
BETWEEN = {
    "Add", "AveragePool", "Clip", "Concat", "Flatten", "Gather", "Identity", "LeakyRelu", "MaxPool", "Pad", "Relu", "Reshape",
    "Resize", "Sigmoid", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
}  # fmt: skip
"""Safe in half where both ends are; sums over a whole map are not among them."""
SUFFIX = ".half"


class PrecisionError(EdgeInspectError):
    """The model cannot be had in that precision, or does not decide there as it does in FP32."""


def convert_fp16(model: ModelProto, kept: Collection[str] = ()) -> ModelProto:
    """The FP16 form of ``model``, which stays as it is; names and types of inputs and outputs are the same.

    kept: layers that stay in FP32, as ``layer_name`` names them. What is quantised stays as it is, too.
    Raises PrecisionError where a weight does not fit in half, or nothing is there to convert.
    """
    half = half_nodes(model, kept)
    if not half:
        raise PrecisionError("fp16: expected convolutions or linear layers on the way to the score, the graph has none")
    types = _types(model)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    wanted = {name for i in half for name in _float_inputs(model.graph.node[i], types)}
    made_half = {name for i in half for name in model.graph.node[i].output}
    read_wide = {value.name for value in model.graph.output}
    read_wide |= {name for i, node in enumerate(model.graph.node) if i not in half for name in node.input}
    read_wide |= {name for i in half for name in set(model.graph.node[i].input) - set(_float_inputs(model.graph.node[i], types))}

    converted = ModelProto()
    converted.CopyFrom(model)
    graph = converted.graph
    for part in (graph.node, graph.initializer, graph.value_info):
        del part[:]
    given = [value.name for value in model.graph.input if value.name in wanted]
    graph.node.extend(_cast(name, TensorProto.FLOAT16) for name in given)
    for i, node in enumerate(model.graph.node):
        written = graph.node.add()
        written.CopyFrom(node)
        if i in half:
            floats = set(_float_inputs(node, types))
            written.input[:] = [name + SUFFIX if name in floats else name for name in node.input]
            written.output[:] = [name + SUFFIX if name else "" for name in node.output]
            graph.node.extend(_cast(name, TensorProto.FLOAT) for name in node.output if name in read_wide)
        else:
            graph.node.extend(_cast(name, TensorProto.FLOAT16) for name in node.output if name in wanted - made_half)
    for name, tensor in constants.items():
        if name in read_wide:
            graph.initializer.append(tensor)
        if name in wanted:
            graph.initializer.append(_half(tensor))
    return converted


def half_nodes(model: ModelProto, kept: Collection[str] = ()) -> set[int]:
    """Indices of the nodes of ``model`` that compute in FP16, where the layers ``kept`` do not."""
    nodes, types = list(model.graph.node), _types(model)
    linear = learned_layers(model)
    before = _before({name for i in linear for name in nodes[i].input}, nodes)
    after: set[str] = set()
    between = set()
    for i, node in enumerate(nodes):
        follows = any(name in after for name in node.input)
        if follows or i in linear:
            after.update(node.output)
        floats = all(types[name] == TensorProto.FLOAT for name in node.output if name)
        if follows and i in before and node.op_type in BETWEEN and floats:
            between.add(i)
    quantised = {i for i in linear if _is_quantised(nodes[i], nodes)}
    half = {i for i in linear - quantised if layer_name(nodes[i]) not in kept}
    if not quantised:
        return half | between
    # An activation or a sum after a quantised layer is part of it; what leads from one such layer to the next stays as wide.
    of_quantised = {name for i in quantised for name in nodes[i].output}
    between = {i for i in between if not of_quantised.intersection(nodes[i].input)}
    return half | _connected(half, between, nodes)


def half_layers(model: ModelProto) -> list[str]:
    """Names of the layers that compute in FP16, in the order of computation."""
    nodes = list(model.graph.node)
    return list(dict.fromkeys(layer_name(nodes[i]) for i in sorted(half_nodes(model) & learned_layers(model))))


def learned_layers(model: ModelProto) -> set[int]:
    """Indices of the nodes with learned weights on the way to a score, Z or X̂."""
    nodes, learned = list(model.graph.node), _learned(model)
    judged = _before({SCORES[-1], FEATURE, RECONSTRUCTION}, nodes)
    return {i for i in judged if nodes[i].op_type in LINEAR or _is_linear_by_weights(nodes[i], learned)}


def layer_name(node: NodeProto) -> str:
    """What people call the layer of ``node``, after its weights; the trunk sees two sizes, so a layer may be at two nodes."""
    return str(node.input[1]).removeprefix("model.").removesuffix(".weight").removesuffix(".conv")


def _is_quantised(node: NodeProto, nodes: list[NodeProto]) -> bool:
    """Its weights come in 8 bits."""
    return any(one.op_type == "DequantizeLinear" and node.input[1] in one.output for one in nodes)


def _connected(start: set[int], among: set[int], nodes: list[NodeProto]) -> set[int]:
    """Those of ``among`` that tensors lead to from ``start``, either way, through nothing else."""
    found, new = set[int](), set(start)
    while new:
        names = {name for i in new for name in (*nodes[i].input, *nodes[i].output) if name}
        new = {i for i in among - found if names.intersection((*nodes[i].input, *nodes[i].output))}
        found |= new
    return found


def _is_linear_by_weights(node: NodeProto, learned: set[str]) -> bool:
    """A product with C or the whitening, which are inputs, measures distances: that is no layer."""
    return node.op_type == "MatMul" and any(name in learned for name in node.input)


def _learned(model: ModelProto) -> set[str]:
    return {tensor.name for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT}


def _before(names: Iterable[str], nodes: list[NodeProto]) -> set[int]:
    """Indices of the nodes that ``names`` come from, near and far."""
    needed, found = set(names), set()
    for i in range(len(nodes) - 1, -1, -1):  # ONNX keeps nodes in the order of computation
        if needed.intersection(nodes[i].output):
            found.add(i)
            needed.update(nodes[i].input)
    return found


def _types(model: ModelProto) -> dict[str, int]:
    """The element type of every tensor."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    types = {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.output, *graph.value_info)}
    return types | {tensor.name: tensor.data_type for tensor in graph.initializer}


def _float_inputs(node: NodeProto, types: dict[str, int]) -> list[str]:
    """The inputs whose type is the node's; the factors of Resize stay FP32 by its definition."""
    inputs = node.input[:1] if node.op_type == "Resize" else node.input
    return [name for name in inputs if types.get(name) == TensorProto.FLOAT]


def _cast(name: str, to: int) -> NodeProto:
    """Between ``name`` (FP32) and its half, whichever way."""
    source, target = (name, name + SUFFIX) if to == TensorProto.FLOAT16 else (name + SUFFIX, name)
    return onnx.helper.make_node("Cast", [source], [target], name=f"cast {target}", to=to)


def _half(tensor: TensorProto) -> TensorProto:
    values = onnx.numpy_helper.to_array(tensor)
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float16)
    if not np.isfinite(rounded).all():
        raise PrecisionError(
            f"fp16: weight {tensor.name} has the value {np.abs(values).max():.3g}, half precision ends at 65504; "
            "use fp32, or train again with another seed"
        )
    return onnx.numpy_helper.from_array(rounded, tensor.name + SUFFIX)
