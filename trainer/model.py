"""φ and ψ together, as a checkpoint holds them."""

from __future__ import annotations

from torch import Tensor, nn

from trainer.decoder import Decoder
from trainer.encoder import GROUPS, Encoder
from trainer.reconstruction_loss import reconstruction_error
from trainer.train_config import TrainConfig

GRID_STRIDE = 8


class Model(nn.Module):
    """Encoder and decoder of one configuration; ``groups`` channels of Z are compared as units of their own."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.config = config
        self.groups = GROUPS
        self.grid = config.input_size // GRID_STRIDE
        self.encoder = Encoder(config.feature_channels, config.seed)
        self.decoder = Decoder(config.feature_channels, config.decoder_width, config.bottleneck)

    def forward(self, image_rgb: Tensor, small_image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Z (N×D×h×w), X̂ (N×3×h×w, 0…1) and the L2 error map (N×1×h×w).

        image_rgb: float N×3×H×W, 0…255. small_image: the same area-averaged to the grid, BGR, 0…1.
        """
        trunk_feature = self.encoder.trunk_feature(image_rgb)
        feature = self.encoder(trunk_feature)
        image_hat, feature_hat = self.decoder(feature)
        error = reconstruction_error(image_hat, feature_hat, small_image, trunk_feature, self.groups)
        return feature, image_hat, error
