"""The structural similarity index, as an error map."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW = 7
C1, C2 = 0.01**2, 0.03**2


def ssim_error(image_hat: Tensor, image: Tensor) -> Tensor:
    """1 − SSIM at each position, mean over channels, N×1×h×w, of images N×3×h×w in 0…1 (Wang et al. 2004).

    Uniform 7×7 window, sample covariance, edges mirrored: the constants of scikit-image's default.
    """

    def local_mean(x: Tensor) -> Tensor:
        pad = WINDOW // 2
        return F.avg_pool2d(F.pad(x, (pad, pad, pad, pad), mode="reflect"), WINDOW, 1)

    sample = WINDOW**2 / (WINDOW**2 - 1)
    a, b = image_hat, image
    mean_a, mean_b = local_mean(a), local_mean(b)
    variance_a = sample * (local_mean(a * a) - mean_a * mean_a)
    variance_b = sample * (local_mean(b * b) - mean_b * mean_b)
    covariance = sample * (local_mean(a * b) - mean_a * mean_b)
    similarity = ((2 * mean_a * mean_b + C1) * (2 * covariance + C2)) / (
        (mean_a * mean_a + mean_b * mean_b + C1) * (variance_a + variance_b + C2)
    )
    return torch.mean(1.0 - similarity, dim=1, keepdim=True)
