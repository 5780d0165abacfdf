"""ψ, the image reconstruction unit: X̂ = ψ(Z) (eq. 2). Resize + Conv, no transposed convolution, no batch norm."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Decoder(nn.Module):
    """Rebuilds the image, at the grid of Z, and the trunk's feature beside it, from a tight bottleneck of Z.

    Input Z: float N×channels×h×w. Output: X̂ float N×3×h×w (0…1, BGR) and the rebuilt trunk feature N×channels×h×w.
    The bottleneck (h/8×w/8) lies inside ψ: what is not normal does not fit through it, so ψ rebuilds the normal part.
    """

    def __init__(self, channels: int = 64, width: int = 64, bottleneck: int = 48) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            [
                nn.Conv2d(channels, width, 3, 2, 1),
                nn.Conv2d(width, width, 3, 2, 1),
                nn.Conv2d(width, bottleneck, 3, 2, 1),
            ]
        )
        self.up = nn.ModuleList(
            [
                nn.Conv2d(bottleneck, width, 3, 1, 1),
                nn.Conv2d(width, width, 3, 1, 1),
                nn.Conv2d(width, width, 3, 1, 1),
            ]
        )
        self.to_feature = nn.Conv2d(width, channels, 1)
        self.to_image = nn.Conv2d(width, 3, 1)

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        x = feature
        for layer in self.down:
            x = F.relu(layer(x))
        for layer in self.up:
            x = F.relu(layer(F.interpolate(x, scale_factor=2.0, mode="nearest")))
        return torch.sigmoid(self.to_image(x)), self.to_feature(x)
