"""ψ, the image reconstruction unit: X̂ = ψ(Z) (eq. 2). Resize + Conv, no transposed convolution, no batch norm."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.train_config import TrainConfig


class MapDecoder(nn.Module):
    """Rebuilds the image and, where asked, the frozen feature beside it, from a tight bottleneck of a map Z.

    Input Z: float N×channels×2g×2g. Output: X̂ float N×3×g×g (0…1, BGR) and the feature N×rebuilt×g×g (rebuilt may be 0).
    The bottleneck lies inside ψ: what is not normal does not fit through it, so ψ rebuilds the normal part.
    ``shallow`` leaves out the layers between: one down to the bottleneck, one back.
    """

    def __init__(self, channels: int, rebuilt: int, width: int = 64, bottleneck: int = 48, *, shallow: bool = False) -> None:
        super().__init__()
        self.factors = (8,) if shallow else (2, 2, 2)
        inner = [width] * (len(self.factors) - 1)
        down, up = [channels, *inner, bottleneck], [bottleneck, *inner, width]
        kernel = 8 if shallow else 3
        self.down = nn.ModuleList(
            [nn.Conv2d(a, b, kernel, f, 0 if shallow else 1) for (a, b), f in zip(pairwise(down), self.factors, strict=True)]
        )
        self.up = nn.ModuleList([nn.Conv2d(a, b, 3, 1, 1) for a, b in pairwise(up)])
        self.to_image = nn.Conv2d(width, 3, 1)
        self.to_feature = nn.Conv2d(width, rebuilt, 1) if rebuilt else None

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        x = F.avg_pool2d(feature, 2)
        for layer in self.down:
            x = F.relu(layer(x))
        for layer, factor in zip(self.up, self.factors, strict=True):
            x = F.relu(layer(F.interpolate(x, scale_factor=float(factor), mode="nearest")))
        image_hat = torch.sigmoid(self.to_image(x))
        return image_hat, self.to_feature(x) if self.to_feature is not None else image_hat[:, :0]


class VectorDecoder(nn.Module):
    """Rebuilds image and feature from a vector Z: a linear layer to 4×4, then Resize + Conv up to the grid.

    Input Z: float N×channels×1×1. Output as MapDecoder's. ``shallow``: the linear layer and one convolution.
    """

    def __init__(self, channels: int, rebuilt: int, width: int, grid: int, *, shallow: bool = False) -> None:
        super().__init__()
        self.width, self.start = width, 4
        doublings = (grid // self.start).bit_length() - 1
        self.factors = (grid // self.start,) if shallow else (2,) * doublings
        if grid != self.start * 2**doublings and not shallow:
            self.factors = (*self.factors[:-1], grid // (self.start * 2 ** (doublings - 1)))
        self.from_vector = nn.Linear(channels, width * self.start**2)
        self.up = nn.ModuleList([nn.Conv2d(width, width, 3, 1, 1) for _ in self.factors])
        self.to_image = nn.Conv2d(width, 3, 1)
        self.to_feature = nn.Conv2d(width, rebuilt, 1) if rebuilt else None

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.from_vector(feature.flatten(1))).reshape(-1, self.width, self.start, self.start)
        for layer, factor in zip(self.up, self.factors, strict=True):
            x = F.relu(layer(F.interpolate(x, scale_factor=float(factor), mode="nearest")))
        image_hat = torch.sigmoid(self.to_image(x))
        return image_hat, self.to_feature(x) if self.to_feature is not None else image_hat[:, :0]


def make_decoder(config: TrainConfig) -> nn.Module:
    """The decoder ``config`` asks for."""
    rebuilt = config.feature_channels if config.reconstruction_error == "perceptual" else 0
    shallow = config.regulariser == "shallow"
    if config.feature == "vector":
        return VectorDecoder(config.feature_channels, rebuilt, config.decoder_width, config.decoder_grid, shallow=shallow)
    return MapDecoder(config.feature_channels, rebuilt, config.decoder_width, config.bottleneck, shallow=shallow)
