"""L3: the squared Frobenius norm of the decoder's Jacobian at the centre (eq. 6), by random projection (eq. 7)."""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.decoder import Decoder
from trainer.reconstruction_loss import unit_groups


def decoder_gradient_penalty(decoder: Decoder, center: Tensor, groups: int, generator: torch.Generator) -> Tensor:
    """dim(X̂)·‖vᵀ ∂ψ/∂Z|_C‖² with v a random unit vector: unbiased for eq. 6, one vector-Jacobian product.

    center: 1×D×h×w. ψ's feature output is normalised first, so that L3 cannot be cheated by shrinking it.
    Differentiable with respect to the decoder's parameters.
    """
    point = center.detach().requires_grad_(True)
    image_hat, feature_hat = decoder(point)
    output = torch.cat([image_hat.flatten(), unit_groups(feature_hat, groups).flatten()])
    direction = torch.randn(output.shape, generator=generator)
    direction = direction / direction.norm()
    (product,) = torch.autograd.grad(output, point, direction, create_graph=True)
    return output.numel() * product.square().sum()
