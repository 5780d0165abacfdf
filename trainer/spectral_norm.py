"""Eq. 8: every weight ω of the decoder divided by its largest singular value σ(ω) (Miyato et al. 2018)."""

from __future__ import annotations

from torch import nn
from torch.nn.utils import parametrizations, parametrize

POWER_ITERATIONS = 1
"""A step; the vectors are kept between steps, so that they follow the slowly changing weight."""


def spectral_normalise(decoder: nn.Module) -> None:
    """Parametrise every convolution and linear layer of ``decoder`` by ω/σ(ω); a kernel counts as out × (in·kh·kw)."""
    for layer in list(decoder.modules()):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            parametrizations.spectral_norm(layer, n_power_iterations=POWER_ITERATIONS)


def fold_spectral_norm(decoder: nn.Module) -> None:
    """Write ω/σ(ω) into the weights, once and for all: what is exported."""
    for layer in list(decoder.modules()):
        if parametrize.is_parametrized(layer):
            parametrize.remove_parametrizations(layer, "weight")
