"""φ, the feature extraction unit: Z = φ(X) (eq. 1). A frozen pretrained trunk, a fixed projection, a trainable head."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.trunk import Trunk

FINE_TAPS = (24, 40)
DEEP_TAP = 112
GROUPS = 2


class Encoder(nn.Module):
    """Z is a map of two groups of channels on one grid of stride 8: fine texture (stages 24 and 40) and deep shape (112).

    No single stage serves every part: small defects want shallow stages, low-contrast ones deep ones. The fixed
    projection is a random orthonormal one, which keeps distances and needs no data (Johnson & Lindenstrauss 1984).
    """

    def __init__(self, channels: int = 64, seed: int = 0) -> None:
        super().__init__()
        self.channels = channels
        width = channels // GROUPS
        self.trunk = Trunk((*FINE_TAPS, DEEP_TAP))
        self.project_fine = nn.Conv2d(sum(FINE_TAPS), width, 1, bias=False)
        self.project_deep = nn.Conv2d(DEEP_TAP, width, 1, bias=False)
        generator = torch.Generator().manual_seed(seed)
        for projection in (self.project_fine, self.project_deep):
            inputs = projection.in_channels
            square = torch.linalg.qr(torch.randn(inputs, inputs, generator=generator)).Q
            projection.weight.data.copy_(square[:width, :, None, None])
            projection.requires_grad_(False)
        self.head = nn.Conv2d(channels, channels, 1, groups=GROUPS)
        self.head.weight.data.copy_(torch.eye(width).repeat(GROUPS, 1)[:, :, None, None])
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def trunk_feature(self, image: Tensor) -> Tensor:
        """Float N×3×H×W (RGB, 0…255) to the projected trunk feature, N×channels×H/8×W/8; constant during training."""
        stage24, stage40, stage112 = self.trunk(image)
        fine = torch.cat([F.avg_pool2d(stage24, 2), stage40], dim=1)
        fine = F.avg_pool2d(fine, 3, 1, 1, count_include_pad=False)
        deep = F.interpolate(self.project_deep(stage112), scale_factor=2.0, mode="nearest")
        return torch.cat([self.project_fine(fine), deep], dim=1)

    def forward(self, trunk_feature: Tensor) -> Tensor:
        """The head: Z from the trunk's feature, same shape; the identity before training."""
        out = self.head(trunk_feature)
        assert isinstance(out, Tensor)
        return out
