"""Rounding a layer's weights to a few bits by what the layer is fed with, so that what comes out of it changes least.

To round each weight to the nearest step is not enough in a depthwise layer: a filter that answers to edges has large weights
whose sum is nearly 0, and the sum of their rounding errors is an answer to plain grey. So each weight is rounded in turn and its
error is made up for by the weights not yet rounded (Frantar et al. 2022, "GPTQ"; Hassibi & Stork 1992), with the second
moments of the layer's inputs on normal images. What is left of the mean goes to the bias (Nagel et al. 2019).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DAMPING = 0.01
"""Of the mean second moment, added to the diagonal: inputs hardly seen must not get any weight."""

Floats = NDArray[np.float64]
RoundedWeight = tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.float32]]


class InputMoments:
    """Mean and second moments of the K inputs that each of G groups of a convolution sees at one position."""

    def __init__(self, groups: int, inputs: int) -> None:
        self.count = 0
        self._first = np.zeros((groups, inputs))
        self._second = np.zeros((groups, inputs, inputs))

    def add(self, patches: NDArray[np.float32]) -> None:
        """patches [N, G, K]: the inputs at N positions."""
        rows = patches.transpose(1, 0, 2).astype(np.float64)
        self.count += rows.shape[1]
        self._first += rows.sum(axis=1)
        self._second += np.matmul(rows.transpose(0, 2, 1), rows)

    def mean(self) -> Floats:
        """[G, K]."""
        return self._first / max(self.count, 1)

    def second(self) -> Floats:
        """[G, K, K]; damped, so that it has an inverse."""
        second = self._second / max(self.count, 1)
        size = np.trace(second, axis1=1, axis2=2) / second.shape[1]
        damping = DAMPING * np.where(size > 0, size, 1.0)
        return second + damping[:, None, None] * np.eye(second.shape[1])


def round_weight(weight: NDArray[np.float32], moments: InputMoments, steps: int) -> RoundedWeight:
    """Whole numbers −steps…steps of ``weight``'s shape, the scale of each output channel (axis 0), and what to add to the bias."""
    largest = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    scales = np.where(largest > 0, largest / steps, 1.0).astype(np.float32)
    second = moments.second()
    groups, inputs = second.shape[:2]
    rows = weight.reshape(groups, -1, inputs).astype(np.float64)
    step = scales.reshape(groups, -1).astype(np.float64)
    # U with UᵀU the inverse: what an error at one input costs, and how the later ones make up for it.
    upper = np.linalg.cholesky(np.linalg.inv(second)).transpose(0, 2, 1)
    left, rounded = rows.copy(), np.zeros_like(rows)
    for k in range(inputs):
        rounded[:, :, k] = np.clip(np.rint(left[:, :, k] / step), -steps, steps)
        error = (left[:, :, k] - rounded[:, :, k] * step) / upper[:, k, k, None]
        left[:, :, k:] -= error[:, :, None] * upper[:, None, k, k:]
    change = rows - rounded * step[:, :, None]
    bias = np.einsum("grk,gk->gr", change, moments.mean())
    return rounded.reshape(weight.shape).astype(np.int8), scales, bias.reshape(-1).astype(np.float32)
