"""φ and ψ together, as a checkpoint holds them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.decoder import make_decoder
from trainer.encoder import make_encoder
from trainer.reconstruction_loss import reconstruction_error
from trainer.spectral_norm import spectral_normalise
from trainer.train_config import TrainConfig


class Model(nn.Module):
    """Encoder, decoder and the centre C (1×D×h×w) of training, of one configuration."""

    center: Tensor

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = make_encoder(config)
        self.decoder = make_decoder(config)
        if config.regulariser == "spectral":
            spectral_normalise(self.decoder)
        grid = self.encoder.grid
        self.register_buffer("center", torch.zeros(1, config.feature_channels, grid, grid))
        self.rebuilt_widths = self.encoder.frozen_widths

    def small_image(self, image_bgr: Tensor) -> Tensor:
        """X as ψ rebuilds it: N×3×H×W (BGR, 0…255) area-averaged to the decoder's grid, 0…1."""
        grid = self.config.decoder_grid
        rows = image_bgr.reshape(len(image_bgr), 3, grid, -1, image_bgr.shape[3]).mean(3)  # runtimes pool large windows slowly
        return rows.reshape(len(image_bgr), 3, grid, grid, -1).mean(4) * (1.0 / 255.0)

    def error_map(self, image_hat: Tensor, feature_hat: Tensor, small_image: Tensor, frozen: Tensor) -> Tensor:
        """L2 at each position of the decoder's grid, N×1×g×g; ψ rebuilds the frozen feature averaged to that grid."""
        target = F.avg_pool2d(frozen, 2) if feature_hat.shape[1] else feature_hat
        return reconstruction_error(
            self.config.reconstruction_error, image_hat, feature_hat, small_image, target, self.rebuilt_widths
        )  # fmt: skip

    def forward(self, image_bgr: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Z (N×D×h×w), X̂ (N×3×g×g, 0…1, BGR) and the L2 error map (N×1×g×g) of float N×3×H×W, BGR, 0…255."""
        rgb = torch.cat([image_bgr[:, 2:3], image_bgr[:, 1:2], image_bgr[:, 0:1]], dim=1)
        frozen = self.encoder.frozen_feature(rgb)
        feature = self.encoder(frozen)
        image_hat, feature_hat = self.decoder(feature)
        return feature, image_hat, self.error_map(image_hat, feature_hat, self.small_image(image_bgr), frozen)
