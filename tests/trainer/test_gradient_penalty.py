"""L3 against independent references: autograd's own Jacobian, a linear decoder by hand, an SVD."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trainer.decoder import MapDecoder, VectorDecoder
from trainer.gradient_penalty import decoder_output, exact_gradient_penalty, projected_gradient_penalty
from trainer.spectral_norm import fold_spectral_norm, spectral_normalise

WIDTHS = [2, 2]


def map_decoder() -> MapDecoder:
    torch.manual_seed(0)
    return MapDecoder(channels=4, rebuilt=4, width=6, bottleneck=3)


def frobenius(decoder: nn.Module, center: Tensor) -> float:
    """Eq. 6 by torch.autograd.functional.jacobian."""
    return float(torch.autograd.functional.jacobian(decoder_output(decoder, WIDTHS), center).square().sum())


def test_the_exact_norm_is_the_one_of_autograd() -> None:
    decoder, center = map_decoder(), torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(3))
    assert float(exact_gradient_penalty(decoder, center, WIDTHS).detach()) == pytest.approx(frobenius(decoder, center), rel=1e-4)
    vector = VectorDecoder(channels=5, rebuilt=0, width=6, grid=8)
    point = torch.randn(1, 5, 1, 1, generator=torch.Generator().manual_seed(4))
    assert float(exact_gradient_penalty(vector, point, []).detach()) == pytest.approx(frobenius(vector, point), rel=1e-4)


def test_the_mean_over_many_projections_is_the_exact_norm() -> None:
    decoder, center = map_decoder(), torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(2))
    exact = frobenius(decoder, center)
    generator = torch.Generator().manual_seed(1)
    estimates = torch.stack([projected_gradient_penalty(decoder, center, WIDTHS, generator).detach() for _ in range(600)])
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
    values = [float(exact_gradient_penalty(ScaledImage(0.0, scale), center, WIDTHS).detach()) for scale in (1.0, 0.1, 0.02)]
    assert values == pytest.approx([values[0]] * 3, rel=0.02)
    assert float(exact_gradient_penalty(ScaledImage(3.0, 0.0), center, WIDTHS).detach()) == pytest.approx(9 * center.numel())


@pytest.mark.parametrize("exact", [True, False])
def test_its_gradient_reaches_the_decoder_only(exact: bool) -> None:
    decoder, center = map_decoder(), torch.randn(1, 4, 16, 16, requires_grad=True)
    penalty = (
        exact_gradient_penalty(decoder, center, WIDTHS)
        if exact
        else projected_gradient_penalty(decoder, center, WIDTHS, torch.Generator().manual_seed(0))
    )
    penalty.backward()
    assert center.grad is None
    assert all(p.grad is not None for name, p in decoder.named_parameters() if "weight" in name)


def largest_singular_value(layer: nn.Module) -> float:
    weight = layer.weight.detach().numpy()  # type: ignore[operator, union-attr]
    return float(np.linalg.svd(weight.reshape(len(weight), -1), compute_uv=False)[0])


@pytest.mark.parametrize("decoder", [map_decoder(), VectorDecoder(channels=5, rebuilt=0, width=6, grid=8)])
def test_spectral_normalisation_divides_by_the_largest_singular_value(decoder: nn.Module) -> None:
    """Eq. 8 on every layer, a kernel reshaped to out × (in·kh·kw): σ after the power iteration is the SVD's."""
    layers = [m for m in decoder.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    before = [largest_singular_value(layer) for layer in layers]
    weights = [layer.weight.detach().clone() for layer in layers]
    spectral_normalise(decoder)
    decoder.train()
    for _ in range(60):
        for layer in layers:
            _ = layer.weight
    fold_spectral_norm(decoder)
    for layer, sigma, weight in zip(layers, before, weights, strict=True):
        assert largest_singular_value(layer) == pytest.approx(1, rel=1e-2)
        assert torch.allclose(layer.weight, weight / sigma, rtol=2e-2, atol=1e-5)
    assert not [name for name in decoder.state_dict() if "parametrizations" in name]
