"""L3: the squared Frobenius norm of the decoder's Jacobian at the centre, exactly (eq. 6) or by random projection (eq. 7)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from trainer.reconstruction_loss import unit_groups


def decoder_output(decoder: nn.Module, widths: list[int]) -> Callable[[Tensor], Tensor]:
    """Z (1×D×h×w) → X̂ and ψ's feature output as one vector; the latter normalised: shrinking it must not lower L3."""

    def output(feature: Tensor) -> Tensor:
        image_hat, feature_hat = decoder(feature)
        return torch.cat([image_hat.flatten(), unit_groups(feature_hat, widths).flatten()])

    return output


def projected_gradient_penalty(decoder: nn.Module, center: Tensor, widths: list[int], generator: torch.Generator) -> Tensor:
    """dim(X̂)·‖vᵀ ∂ψ/∂Z|_C‖² with v a random unit vector: unbiased for eq. 6, one vector-Jacobian product (eq. 7).

    center: 1×D×h×w. Differentiable with respect to the decoder's parameters.
    """
    point = center.detach().requires_grad_(True)
    output = decoder_output(decoder, widths)(point)
    direction = torch.randn(output.shape, generator=generator).to(output)
    direction = direction / direction.norm()
    (product,) = torch.autograd.grad(output, point, direction, create_graph=True)
    return output.numel() * product.square().sum()


def exact_gradient_penalty(decoder: nn.Module, center: Tensor, widths: list[int]) -> Tensor:
    """‖∂ψ(Z)/∂Z |_C‖²_F (eq. 6), one Jacobian-vector product for each number in Z; for a vector Z and a small image.

    center: 1×D×h×w. Differentiable with respect to the decoder's parameters.
    """
    jacobian: Tensor = torch.func.jacfwd(decoder_output(decoder, widths))(center.detach())
    return jacobian.square().sum()
