"""When training has gone on long enough: the held-out loss has stopped falling, and the best weights are kept."""

from __future__ import annotations

import torch
from torch import Tensor


class EarlyStop:
    """Watches L2 of the held-out normal images, and keeps the weights that had the lowest.

    L2 alone decides. L1 in the scale of the start falls also where φ merely becomes constant and rises where update (ii)
    lets φ say more, so that neither direction of it means that the model got better or worse; it is logged beside.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best_loss, self.best_step, self.evaluations_since = float("inf"), 0, 0
        self.best_weights: dict[str, Tensor] = {}

    @property
    def stopped(self) -> bool:
        """Whether ``patience`` evaluations in a row brought nothing lower."""
        return self.evaluations_since >= self.patience

    def see(self, step: int, loss: float, weights: dict[str, Tensor]) -> None:
        """One evaluation. ``weights`` are copied where ``loss`` is lower than any before; a NaN never is."""
        if loss < self.best_loss:
            self.best_loss, self.best_step, self.evaluations_since = loss, step, 0
            self.best_weights = {name: tensor.detach().clone() for name, tensor in weights.items()}
        else:
            self.evaluations_since += 1

    def state(self) -> dict[str, Tensor]:
        """Everything a resumed run needs, as tensors."""
        numbers = torch.tensor([self.best_loss, self.best_step, self.evaluations_since], dtype=torch.float64)
        return {"early_stop": numbers} | {f"best.{name}": tensor for name, tensor in self.best_weights.items()}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """The reverse of ``state``."""
        loss, step, since = tensors["early_stop"].tolist()
        self.best_loss, self.best_step, self.evaluations_since = loss, int(step), int(since)
        self.best_weights = {name.removeprefix("best."): one for name, one in tensors.items() if name.startswith("best.")}
