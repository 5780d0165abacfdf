"""Scores of good parts whose true distribution is known, so that a promise can be checked against the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating[Any]]
GRID = 4_000_000
BASE = 1_000_000


@dataclass(frozen=True)
class Shape:
    """draw(random, size): float64 scores."""

    name: str
    draw: Callable[[np.random.Generator, tuple[int, ...]], Values]

    def exceedance(self) -> Callable[[Values], Values]:
        """Threshold → true false-reject rate, from four million scores of its own."""
        reference = _reference(self)
        return lambda threshold: 1.0 - np.searchsorted(reference, threshold, side="left") / len(reference)


@lru_cache(maxsize=8)
def _reference(shape: Shape) -> Values:
    return np.sort(shape.draw(np.random.default_rng(BASE), (GRID,)))


def _bimodal(random: np.random.Generator, size: tuple[int, ...]) -> Values:
    rare = random.random(size) < 0.1
    return np.where(rare, random.normal(4.0, 0.5, size), random.normal(0.0, 1.0, size))


SHAPES = (
    Shape("normal", lambda random, size: random.normal(size=size)),
    Shape("gamma, k = 2", lambda random, size: random.gamma(2.0, size=size)),
    Shape("heavy tail, t3", lambda random, size: random.standard_t(3, size=size)),
    Shape("bimodal, 10 % high", _bimodal),
    Shape("bounded, beta(2, 3)", lambda random, size: random.beta(2.0, 3.0, size=size)),
)
