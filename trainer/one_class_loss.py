"""L1 in training: the distance of Z from its centre C (eq. 3)."""

from __future__ import annotations

from torch import Tensor

COLLAPSE_SHARE = 0.01


class CollapseError(Exception):
    """φ has become (nearly) constant: L1 is low because Z says nothing any more."""


def one_class_loss(feature: Tensor, center: Tensor, scale: Tensor, *, absolute: bool = False) -> Tensor:
    """Mean over positions of ‖(Z − C)·scale‖², or of the L1 norm. feature N×D×h×w; center 1×D×h×w; scale 1×D×1×1 (initial 1/σ)."""
    difference = (feature - center) * scale
    return difference.abs().mean() if absolute else difference.square().mean()


def moving_average(center: Tensor, feature: Tensor, momentum: float) -> Tensor:
    """C after a step: m·C + (1 − m)·(mean of Z over the batch); center 1×D×h×w, feature N×D×h×w."""
    return momentum * center + (1.0 - momentum) * feature.detach().mean(0, keepdim=True)


def guard_against_collapse(variance: float, initial_variance: float) -> None:
    """Raise CollapseError when the variance of Z falls below 1 % of its initial value."""
    if not variance >= COLLAPSE_SHARE * initial_variance:
        raise CollapseError(
            f"the variance of the feature fell to {variance:.3g}, below 1 % of the initial {initial_variance:.3g}; "
            "lower `feature_rate` in the training config"
        )
