"""L3 against independent references: autograd's own Jacobian, and a linear decoder by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from trainer.decoder import Decoder
from trainer.gradient_penalty import decoder_gradient_penalty
from trainer.reconstruction_loss import unit_groups


def frobenius(decoder: nn.Module, center: Tensor, groups: int) -> float:
    """Eq. 6 by torch.autograd.functional.jacobian."""

    def output(z: Tensor) -> Tensor:
        image_hat, feature_hat = decoder(z)
        return torch.cat([image_hat.flatten(), unit_groups(feature_hat, groups).flatten()])

    return float(torch.autograd.functional.jacobian(output, center).square().sum())


def test_the_mean_over_many_projections_is_the_exact_norm() -> None:
    torch.manual_seed(0)
    decoder = Decoder(channels=4, width=6, bottleneck=3)
    center = torch.randn(1, 4, 8, 8)
    exact = frobenius(decoder, center, 2)
    generator = torch.Generator().manual_seed(1)
    estimates = torch.stack([decoder_gradient_penalty(decoder, center, 2, generator).detach() for _ in range(600)])
    error = float(estimates.std() / len(estimates) ** 0.5)
    assert error < 0.1 * exact
    assert float(estimates.mean()) == pytest.approx(exact, abs=4 * error)


class ScaledImage(nn.Module):
    """ψ(Z) = (a·Z, b·Z): the Jacobian of the image part is a·I."""

    def __init__(self, image: float, feature: float) -> None:
        super().__init__()
        self.image, self.feature = nn.Parameter(torch.tensor(image)), nn.Parameter(torch.tensor(feature))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self.image * z, self.feature * z


def test_shrinking_the_feature_output_does_not_lower_the_penalty() -> None:
    center = torch.randn(1, 4, 2, 2, generator=torch.Generator().manual_seed(2))
    values = [frobenius(ScaledImage(0.0, scale), center, 2) for scale in (1.0, 0.1, 0.02)]
    assert values == pytest.approx([values[0]] * 3, rel=0.02)
    assert frobenius(ScaledImage(3.0, 0.0), center, 2) == pytest.approx(9 * center.numel())


def test_its_gradient_reaches_the_decoder_only() -> None:
    torch.manual_seed(0)
    decoder, center = Decoder(channels=4, width=6, bottleneck=3), torch.randn(1, 4, 8, 8, requires_grad=True)
    penalty = decoder_gradient_penalty(decoder, center, 2, torch.Generator().manual_seed(0))
    penalty.backward()
    assert center.grad is None
    assert all(p.grad is not None for name, p in decoder.named_parameters() if "weight" in name)
