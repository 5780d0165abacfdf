"""L2 = dist(X̂, X) (eq. 4): squared error of the image plus cosine distance of the rebuilt feature, at each position."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-6


def unit_groups(feature: Tensor, groups: int) -> Tensor:
    """Each group of channels of N×C×h×w scaled to unit length at each position; ψ's output is normalised so before L2 and L3."""
    n, channels, h, w = feature.shape
    grouped = feature.reshape(n, groups, channels // groups, h, w)
    return (grouped / torch.sqrt((grouped * grouped).sum(2, keepdim=True) + EPSILON)).reshape(n, channels, h, w)


def reconstruction_error(image_hat: Tensor, feature_hat: Tensor, image: Tensor, feature: Tensor, groups: int) -> Tensor:
    """The error map, N×1×h×w, ≥ 0, smoothed over 3×3 positions.

    image, image_hat: N×3×h×w in 0…1. feature: the trunk's, N×C×h×w. ½‖a/|a| − b/|b|‖² is the cosine distance.
    """
    pixel = (image_hat - image).square().sum(1, keepdim=True)
    difference = unit_groups(feature_hat, groups) - unit_groups(feature, groups)
    perceptual = 0.5 * difference.square().sum(1, keepdim=True)
    return F.avg_pool2d(pixel + perceptual, 3, 1, 1, count_include_pad=False)


def reconstruction_loss(image_hat: Tensor, feature_hat: Tensor, image: Tensor, feature: Tensor, groups: int) -> Tensor:
    """Mean of the error map; what update (ii) lowers for φ and ψ."""
    return torch.mean(reconstruction_error(image_hat, feature_hat, image, feature, groups))
