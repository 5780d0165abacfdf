"""Mean and spread of Z over any number of images, in bounded memory: sums in float64 that add up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.graph_contract import GraphShape
from edge.slots.calibration_tensors import Array

Sums = NDArray[np.float64]
POSITIONS = 16
"""Whose products are added at once: half a megabyte at 64 channels, which stays in the cache."""


@dataclass(frozen=True)
class GroupMoments:
    """Of one group of Z on its own grid h×w: ``count`` images, their sum and sum of squares [d, h, w].

    products [h·w, d, d]: the sum of z·zᵀ at each position, for the norm "mahalanobis" alone.
    """

    count: int
    total: Sums
    squares: Sums
    products: Sums | None

    def __add__(self, other: GroupMoments) -> GroupMoments:
        products = None if self.products is None or other.products is None else self.products + other.products
        return GroupMoments(self.count + other.count, self.total + other.total, self.squares + other.squares, products)

    def counted_as(self, images: int) -> GroupMoments:
        """As if there were so many ``images`` with the same means and products."""
        share = images / self.count
        products = None if self.products is None else self.products * share
        return GroupMoments(images, self.total * share, self.squares * share, products)

    def mean(self) -> Sums:
        """[d, h, w]."""
        return self.total / self.count

    def root_mean_square(self, mean: Sums, judged: NDArray[np.bool_]) -> float:
        """Of the channels of z − ``mean`` [d, h, w] over the judged positions [h, w]."""
        square = self.squares - 2.0 * mean * self.total + self.count * np.square(mean)
        return float(np.sqrt(max(float(square[:, judged].mean()) / self.count, 0.0)))

    def covariance(self, mean: Sums) -> Sums:
        """[h·w, d, d]: the mean of (z − ``mean``)(z − ``mean``)ᵀ at each position."""
        assert self.products is not None
        own, given = (one.reshape(len(one), -1).T for one in (self.mean(), mean))
        cross = own[:, :, None] * given[:, None]
        result = self.products / self.count
        result -= cross
        result -= cross.transpose(0, 2, 1)
        result += np.multiply(given[:, :, None], given[:, None], out=cross)
        return np.asarray(result)


def no_moments(shape: GraphShape) -> list[GroupMoments]:
    """Of no image, one a group."""
    sums = []
    for group in shape.groups:
        height, width = shape.group_grid(group)
        grid = (group.channels, height, width)
        products = np.zeros((height * width, group.channels, group.channels)) if group.norm == "mahalanobis" else None
        sums.append(GroupMoments(0, np.zeros(grid), np.zeros(grid), products))
    return sums


class MomentSums:
    """Adds up images one at a time, in place."""

    def __init__(self, shape: GraphShape) -> None:
        self._groups = no_moments(shape)
        self._count = 0

    def add(self, feature: list[Array]) -> None:
        """One image's Z, one array d×h×w a group on its own grid."""
        self._count += 1
        for group, one in zip(self._groups, feature, strict=True):
            value = one.astype(np.float64)
            group.total[:] += value
            group.squares[:] += np.square(value)
            if group.products is not None:
                rows = np.ascontiguousarray(value.reshape(len(value), -1).T)
                for start in range(0, len(rows), POSITIONS):
                    part = rows[start : start + POSITIONS]
                    group.products[start : start + POSITIONS] += part[:, :, None] * part[:, None]

    def moments(self) -> list[GroupMoments]:
        """What was added so far, one a group."""
        return [GroupMoments(self._count, one.total, one.squares, one.products) for one in self._groups]


def add_moments(parts: list[list[GroupMoments]]) -> list[GroupMoments]:
    """Those of all images of ``parts``."""
    total = parts[0]
    for part in parts[1:]:
        total = [one + other for one, other in zip(total, part, strict=True)]
    return total
