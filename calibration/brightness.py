"""The brightness normal parts have at the line, from which the graph tells the light's change from a part's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.slots.calibration_tensors import Array

DEVIATIONS = 2.0
LEAST_WIDTH = 0.01
"""Of the mean, to either side: a few pictures of one part say too little of how brightness varies."""


def brightness_range(brightness: NDArray[np.floating]) -> Array:
    """Lowest and highest normal mean grey, float32 [2] in 0…255, from ``brightness`` [N] in 0…1 of normal images."""
    mean = float(brightness.mean(dtype=np.float64))
    width = max(DEVIATIONS * float(brightness.std(dtype=np.float64)), LEAST_WIDTH * mean)
    return np.clip(np.array([mean - width, mean + width]) * 255.0, 0.0, 255.0).astype(np.float32)
