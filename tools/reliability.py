"""How well each term of the score tells synthetic anomalies from normal images: what its weight is multiplied by."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from edge.frame import Image
from tools.auroc import auroc
from tools.synthetic_anomalies import GLOBAL, LOCAL, global_anomaly, local_anomaly

FEWEST, MOST = 5, 40
"""Normal images below which nothing can be said of reliability, and of which no more are looked at."""
LEAST_SHARE = 0.05
"""Of the most reliable term's weight, that every term keeps: each must be able to raise the alarm alone (eq. 5)."""

POWER = 4

TermScores = Callable[[Image], NDArray[np.float64]]
"""One picture (uint8 H×W×3, BGR) to its terms: L1 of each group, then L2."""


def term_reliability(normals: list[Image], terms: TermScores, count: int) -> list[float]:
    """Fourth power of the detectability of each of ``count`` terms, the largest scaled to 1; all 1 where ``normals`` are too few.

    normals: images that were not learned from.

    d' = Φ⁻¹(AUROC), the AUROC averaged over local and global synthetic anomalies made on ``normals``; no real anomaly is seen.
    For independent Gaussian terms of unit normal spread the best weight is proportional to d' (Fisher 1936); its fourth power,
    found better on real parts, spends less on terms that hardly tell.
    """
    if len(normals) < FEWEST:
        return [1.0] * count
    normals = normals[:MOST]
    normal = np.array([terms(picture) for picture in normals])
    local, whole = [], []
    for index, picture in enumerate(normals):
        # Every second kind on every second image: all kinds come up, at half the time.
        local += [terms(local_anomaly(picture, name, index)[0]) for name in list(LOCAL)[index % 2 :: 2]]
        whole += [terms(global_anomaly(picture, name, index)) for name in list(GLOBAL)[index % 2 :: 2]]
    kinds = [np.array(anomalous) for anomalous in (local, whole)]
    detectability = np.zeros(count)
    for term in range(count):
        told = np.mean([auroc(normal[:, term], kind[:, term]) for kind in kinds])
        detectability[term] = max(NormalDist().inv_cdf(float(np.clip(told, 1e-6, 1.0 - 0.5 / len(normals)))), 0.0) ** POWER
    if not detectability.max() > 0:
        return [1.0] * count
    return [float(one) for one in np.maximum(detectability / detectability.max(), LEAST_SHARE)]
