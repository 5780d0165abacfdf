"""Area under the ROC curve, as the probability that an anomalous score is above a normal one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def auroc(normal: ArrayLike, anomalous: ArrayLike) -> float:
    """P(anomalous > normal) + ½ P(equal) (Mann & Whitney 1947); NaN where either is empty."""
    low, high = np.sort(np.asarray(normal, np.float64)), np.asarray(anomalous, np.float64)
    if not len(low) or not len(high):
        return float("nan")
    below = np.searchsorted(low, high, "left")
    equal = np.searchsorted(low, high, "right") - below
    return float((below + 0.5 * equal).sum() / (len(low) * len(high)))
