"""L2 = dist(X̂, X) (eq. 4) at each position: of the pixels, or of the pixels and the features rebuilt beside them."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.ssim import ssim_error

ReconstructionError = Literal["perceptual", "l2", "ssim"]
EPSILON = 1e-6


def unit_groups(feature: Tensor, widths: list[int]) -> Tensor:
    """Each group of channels of N×C×h×w scaled to unit length at each position; ψ's output is normalised so before L2 and L3."""
    if feature.shape[1] == 0:
        return feature
    parts = feature.split(widths, 1)
    return torch.cat([part / torch.sqrt((part * part).sum(1, keepdim=True) + EPSILON) for part in parts], 1)


def reconstruction_error(
    kind: ReconstructionError, image_hat: Tensor, feature_hat: Tensor, image: Tensor, target: Tensor, widths: list[int]
) -> Tensor:
    """The error map, N×1×h×w, ≥ 0, smoothed over 3×3 positions.

    image, image_hat: N×3×h×w in 0…1. target: what feature_hat should be, N×C×h×w in groups of ``widths`` channels.
    l2: squared error of the pixels. ssim: 1 − SSIM. perceptual: squared error of the pixels and, for each group, the cosine
    distance ½‖a/|a| − b/|b|‖² of the features.
    """
    error = ssim_error(image_hat, image) if kind == "ssim" else (image_hat - image).square().sum(1, keepdim=True)
    if kind == "perceptual":
        difference = unit_groups(feature_hat, widths) - unit_groups(target, widths)
        error = error + 0.5 * difference.square().sum(1, keepdim=True)
    return F.avg_pool2d(error, 3, 1, 1, count_include_pad=False)
