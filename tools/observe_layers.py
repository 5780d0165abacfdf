"""What the layers of an FP32 graph see on normal images: the values of tensors, and the inputs of convolutions together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx.helper
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto

from edge.frame import Image
from edge.graph_contract import IMAGE
from edge.slots.calibration_tensors import CalibrationTensors
from tools.activation_ranges import Histogram, asymmetric_range, symmetric_range
from tools.weight_rounding import InputMoments, RoundedWeight, round_weight

POSITIONS = 1024
"""Of a convolution that one picture adds to its moments, drawn at random."""


@dataclass
class Observed:
    """histograms: by tensor. moments: by the weight's name, of all convolutions that share it."""

    histograms: dict[str, Histogram] = field(default_factory=dict)
    moments: dict[str, InputMoments] = field(default_factory=dict)
    _ranges: dict[tuple[str, bool], tuple[float, float]] = field(default_factory=dict)
    _rounded: dict[tuple[str, int], RoundedWeight] = field(default_factory=dict)

    def range_of(self, tensor: str, *, signed: bool) -> tuple[float, float]:
        """Where to clip it; worked out once, since one graph is written many times with other layers kept."""
        key = tensor, signed
        if key not in self._ranges:
            self._ranges[key] = (symmetric_range if signed else asymmetric_range)(self.histograms[tensor])
        return self._ranges[key]

    def rounded(self, name: str, weight: NDArray[np.float32], steps: int) -> RoundedWeight:
        """``weight`` of that name, rounded once."""
        if (name, steps) not in self._rounded:
            self._rounded[name, steps] = round_weight(weight, self.moments[name], steps)
        return self._rounded[name, steps]


def observe(
    model: ModelProto,
    tensors: Collection[str],
    convolutions: Iterable[int],
    pictures: Iterable[Image],
    calibration: CalibrationTensors,
    told: Callable[[], None] = lambda: None,
) -> Observed:
    """Run ``model`` over ``pictures`` (uint8 H×W×3), one at a time; ``told`` is called after each.

    tensors: float ones. convolutions: indices of nodes. calibration: the model's other
    inputs; of them only how bright normal images are matters.
    """
    import onnxruntime

    nodes = [model.graph.node[i] for i in convolutions]
    sizes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    wanted = list(dict.fromkeys([*tensors, *(node.input[0] for node in nodes)]))
    watched = ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    watched.graph.output.extend(onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in wanted)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session: Any = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    given = {one.name for one in session.get_inputs()}
    inputs = {name: array for name, array in calibration.items() if name in given}
    found, random = Observed({name: Histogram() for name in tensors}), np.random.default_rng(0)
    for picture in pictures:
        values = dict(zip(wanted, session.run(wanted, {IMAGE: picture[None], **inputs}), strict=True))
        for name, histogram in found.histograms.items():
            histogram.add(values[name])
        for node in nodes:
            patches = _patches(node, values[node.input[0]][0], sizes[node.input[1]], random)
            found.moments.setdefault(node.input[1], InputMoments(*patches.shape[1:])).add(patches)
        told()
    return found


def _patches(
    node: NodeProto, values: NDArray[np.float32], size: tuple[int, ...], random: np.random.Generator
) -> NDArray[np.float32]:
    """What ``node`` with a weight of ``size`` sees of ``values`` C×H×W at POSITIONS places or fewer, N×groups×K."""
    attributes = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    groups, kernel = int(attributes.get("group", 1)), size[2:]
    pads, strides = attributes.get("pads", [0, 0, 0, 0]), attributes.get("strides", [1, 1])
    dilations = attributes.get("dilations", [1, 1])
    padded = np.pad(values, ((0, 0), (pads[0], pads[2]), (pads[1], pads[3])))
    reach = [(kernel[axis] - 1) * dilations[axis] + 1 for axis in (0, 1)]
    rows, columns = ((padded.shape[axis + 1] - reach[axis]) // strides[axis] + 1 for axis in (0, 1))
    at = random.choice(rows * columns, min(POSITIONS, rows * columns), replace=False)
    down = (at // columns * strides[0])[:, None, None] + np.arange(kernel[0])[None, :, None] * dilations[0]
    right = (at % columns * strides[1])[:, None, None] + np.arange(kernel[1])[None, None, :] * dilations[1]
    return np.asarray(padded[:, down, right].transpose(1, 0, 2, 3).reshape(len(at), groups, -1))
