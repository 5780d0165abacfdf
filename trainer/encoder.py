"""φ, the feature extraction unit: Z = φ(X) (eq. 1). A frozen part, computed once an image, and a trainable head."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edge.graph_contract import FeatureGroup, FeatureNorm
from trainer.train_config import TrainConfig
from trainer.trunk import Trunk

DEEP_STRIDE = 4
MEAN, DEVIATION = 118.0, 50.0
"""Of a standardised picture, grey levels: about those of the photographs the trunk was trained on."""
LEAST_DEVIATION = 8.0


class Encoder(nn.Module, ABC):
    """The contract. ``groups`` and ``grid`` say how Z is made up; ``frozen`` parts of Z's channels are rebuilt by ψ where asked."""

    head: nn.Module
    frozen_widths: list[int]
    """Channels of the frozen feature that are compared together; empty where ψ cannot rebuild it."""

    def __init__(self, groups: list[FeatureGroup], grid: int) -> None:
        super().__init__()
        self.groups = groups
        self.grid = grid
        self.frozen_widths = []
        self.widths = [group.channels for group in groups]

    def fit(self, images: Tensor) -> None:
        """Set what does not learn by gradient from normal images, N×3×H×W (RGB, 0…255); called once, before training."""

    @abstractmethod
    def frozen_feature(self, image: Tensor) -> Tensor:
        """Float N×3×H×W (RGB, 0…255) to what stays constant during training, N×C×h×w."""

    @abstractmethod
    def forward(self, frozen: Tensor) -> Tensor:
        """Z, N×D×grid×grid, from the frozen feature."""

    def compact(self, frozen: Tensor) -> list[Tensor]:
        """The frozen feature without repetition, for keeping many."""
        return [frozen]

    def expand(self, compact: list[Tensor]) -> Tensor:
        """The reverse of ``compact``."""
        return compact[0]


class LiteEncoder(Encoder):
    """A pretrained EfficientNet-Lite trunk. Z has a fine group (stages 1 and 2 of the full image) and a deep one (stage 4 of half).

    No single stage serves every part: small defects want shallow stages and a big image, low-contrast ones and wrong shapes deep
    stages, of a picture whose light is taken out. Each channel is standardised by the normal images; then a random orthonormal
    projection narrows it, which keeps distances and needs no data (Johnson & Lindenstrauss 1984). Fine: stride 8 of the input.
    Deep: stride 32.
    """

    def __init__(self, config: TrainConfig, fine_norm: FeatureNorm, deep_norm: FeatureNorm) -> None:
        fine = config.feature_channels // 3
        widths = (fine, config.feature_channels - fine)
        self.vector = config.feature == "vector"
        if self.vector:
            groups = [FeatureGroup(channels=config.feature_channels, norm=fine_norm, stride=1)]
        else:
            norms = (fine_norm, deep_norm)
            groups = [FeatureGroup(channels=w, norm=n, stride=s) for w, n, s in zip(widths, norms, (1, DEEP_STRIDE), strict=True)]
        super().__init__(groups, 1 if self.vector else config.grid)
        self.frozen_widths = list(widths)
        self.trunk = Trunk(config.encoder)
        taps = self.trunk.channels
        self.project_fine = nn.Conv2d(taps[0] + taps[1], widths[0], 1)
        self.project_deep = nn.Conv2d(taps[2], widths[1], 1)
        generator = torch.Generator().manual_seed(config.seed)
        for projection in (self.project_fine, self.project_deep):
            inputs = projection.in_channels
            square = torch.linalg.qr(torch.randn(inputs, inputs, generator=generator)).Q
            projection.weight.data.copy_(square[: projection.out_channels, :, None, None])
            nn.init.zeros_(projection.bias)  # type: ignore[arg-type]
            projection.requires_grad_(False)
        if self.vector:
            layers = [nn.Conv2d(config.feature_channels, config.feature_channels, 1)]
        else:
            layers = [nn.Conv2d(width, width, 1) for width in widths]
        for layer in layers:
            layer.weight.data.copy_(torch.eye(layer.in_channels)[:, :, None, None])
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.head = nn.ModuleList(layers)

    def fit(self, images: Tensor) -> None:
        """Fold the mean and deviation of each stage's channels over ``images`` into the projections."""
        with torch.no_grad():
            pairs = [self._stages(image[None]) for image in images]
            for projection, maps in ((self.project_fine, [p[0] for p in pairs]), (self.project_deep, [p[1] for p in pairs])):
                rows = torch.cat([one.flatten(2)[0].T for one in maps])
                mean, deviation = rows.mean(0), rows.std(0).clamp(min=1e-6)
                weight = projection.weight[:, :, 0, 0] / deviation
                assert projection.bias is not None
                projection.bias.copy_(-weight @ mean)
                projection.weight.copy_(weight[:, :, None, None])

    def _stages(self, image: Tensor) -> tuple[Tensor, Tensor]:
        stage1, stage2 = self.trunk(image, 2)
        fine = torch.cat([F.avg_pool2d(stage1, 2), stage2], dim=1)
        fine = F.avg_pool2d(fine, 3, 1, 1, count_include_pad=False)
        return fine, self.trunk(standardised(F.avg_pool2d(image, 2)), 3)[-1]

    def frozen_feature(self, image: Tensor) -> Tensor:
        fine, deep = self._stages(image)
        return self.expand([self.project_fine(fine), self.project_deep(deep)])

    def compact(self, frozen: Tensor) -> list[Tensor]:
        fine, deep = frozen.split(self.frozen_widths, 1)
        return [fine, deep[:, :, ::DEEP_STRIDE, ::DEEP_STRIDE]]

    def expand(self, compact: list[Tensor]) -> Tensor:
        return torch.cat([compact[0], F.interpolate(compact[1], scale_factor=float(DEEP_STRIDE), mode="nearest")], 1)

    def forward(self, frozen: Tensor) -> Tensor:
        layers = list(self.head.children())
        if self.vector:
            out: Tensor = layers[0](frozen.mean((2, 3), keepdim=True))
            return out
        parts = frozen.split(self.frozen_widths, 1)
        return torch.cat([layer(part) for layer, part in zip(layers, parts, strict=True)], 1)


def standardised(image: Tensor) -> Tensor:
    """Each picture of N×3×H×W (0…255) with the same mean and contrast: how it is lit does not reach the deep stages."""
    mean = image.mean((1, 2, 3), keepdim=True)
    deviation = (image - mean).square().mean((1, 2, 3), keepdim=True).sqrt().clamp(min=LEAST_DEVIATION)
    return ((image - mean) / deviation * DEVIATION + MEAN).clamp(0.0, 255.0)


class CnnEncoder(Encoder):
    """A small CNN trained from scratch on the image at a quarter of its size."""

    def __init__(self, config: TrainConfig, norm: FeatureNorm) -> None:
        channels, self.vector = config.feature_channels, config.feature == "vector"
        super().__init__([FeatureGroup(channels=channels, norm=norm, stride=1)], 1 if self.vector else config.grid)
        self.head = nn.Sequential(
            nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 1, 1), nn.ReLU(), nn.Conv2d(64, channels, 3, 1, 1)
        )  # fmt: skip

    def frozen_feature(self, image: Tensor) -> Tensor:
        return F.avg_pool2d(image, 4) / 127.5 - 1.0

    def forward(self, frozen: Tensor) -> Tensor:
        feature: Tensor = self.head(frozen)
        return feature.mean((2, 3), keepdim=True) if self.vector else feature


class MlpEncoder(Encoder):
    """A multilayer perceptron on the image reduced to 16×16; Z is a vector."""

    SIDE = 16

    def __init__(self, config: TrainConfig, norm: FeatureNorm) -> None:
        super().__init__([FeatureGroup(channels=config.feature_channels, norm=norm, stride=1)], 1)
        self.cell = config.input_size // self.SIDE
        self.head = nn.Sequential(nn.Linear(3 * self.SIDE**2, 256), nn.ReLU(), nn.Linear(256, config.feature_channels))

    def frozen_feature(self, image: Tensor) -> Tensor:
        return F.avg_pool2d(image, self.cell) / 127.5 - 1.0

    def forward(self, frozen: Tensor) -> Tensor:
        feature: Tensor = self.head(frozen.flatten(1))
        return feature[:, :, None, None]


def make_encoder(config: TrainConfig) -> Encoder:
    """The encoder ``config`` names, with the norms of its groups."""
    if config.encoder in ("lite0", "lite1", "lite2"):
        if config.feature_norm == "mixed":
            return LiteEncoder(config, "nearest", "mahalanobis")
        return LiteEncoder(config, config.feature_norm, config.feature_norm)
    norm: FeatureNorm = "nearest" if config.feature_norm == "mixed" else config.feature_norm
    return CnnEncoder(config, norm) if config.encoder == "cnn" else MlpEncoder(config, norm)
