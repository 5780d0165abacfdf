"""L1 in training: the squared distance of Z from its centre C (eq. 3), C the mean under the initial network (option a)."""

from __future__ import annotations

from torch import Tensor

COLLAPSE_SHARE = 0.01


class CollapseError(Exception):
    """φ has become (nearly) constant: L1 is low because Z says nothing any more."""


def one_class_loss(feature: Tensor, center: Tensor, scale: Tensor) -> Tensor:
    """Mean over positions of ‖(Z − C)·scale‖². feature N×D×h×w; center 1×D×h×w; scale 1×D×1×1 (the initial 1/σ)."""
    return ((feature - center) * scale).square().mean()


def guard_against_collapse(variance: float, initial_variance: float) -> None:
    """Raise CollapseError when the variance of Z falls below 1 % of its initial value."""
    if not variance >= COLLAPSE_SHARE * initial_variance:
        raise CollapseError(
            f"the variance of the feature fell to {variance:.3g}, below 1 % of the initial {initial_variance:.3g}; "
            "lower `feature_rate` in the training config"
        )
