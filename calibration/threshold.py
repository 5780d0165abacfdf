"""The threshold and what it promises: an order statistic of normal scores with a binomial bound.

With n normal scores, exchangeable with those to come, and the threshold just above all but the k highest, the false-reject
rate p satisfies P(p ≤ p_k) ≥ confidence, where p_k is the Clopper-Pearson upper bound for k of n (Clopper & Pearson 1934).
"""

from __future__ import annotations

import math

import numpy as np

from calibration.errors import TooFewImagesError
from edge.calibration_slot import Promise
from edge.calibration_tensors import Array

DEFAULT_CONFIDENCE = 0.95
BEST_DEFAULT_RATE = 0.005
"""Without a rate asked for, no better one is promised: a threshold set by the one highest of thousands is a lottery."""


def upper_bound(above: int, images: int, confidence: float) -> float:
    """The p with P(Binomial(images, p) ≤ above) = 1 − confidence; 1 where all are above."""
    if above >= images:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        if _binomial_cdf(above, images, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def images_needed(rate: float, confidence: float) -> int:
    """The fewest images that can support ``rate``: (1 − rate)^n ≤ 1 − confidence."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-rate) - 1e-9)


def choose_threshold(
    scores: Array, exact: bool, rate: float | None = None, confidence: float = DEFAULT_CONFIDENCE
) -> tuple[float, Promise]:
    """The lowest threshold that keeps the promise, and the promise.

    scores: float32 [n], L of normal images. rate: asked for, or None for the best the images allow (not below 0.5 %).
    Raises TooFewImagesError where ``rate`` is beyond them. The threshold is the next float32 above an order statistic, since
    L ≥ threshold is anomalous.
    """
    images = len(scores)
    target = BEST_DEFAULT_RATE if rate is None else rate
    allowed = 0
    if upper_bound(0, images, confidence) <= target:
        while allowed + 1 < images and upper_bound(allowed + 1, images, confidence) <= target:
            allowed += 1
    elif rate is not None:
        raise TooFewImagesError(
            f"a false-reject rate of {rate:.2%} with {confidence:.0%} confidence needs {images_needed(rate, confidence)} images "
            f"for the threshold, there are {images}; give more, or ask for {upper_bound(0, images, confidence):.1%} or more"
        )
    kept = np.sort(np.asarray(scores, np.float32))[images - 1 - allowed]
    threshold = float(np.nextafter(kept, np.float32(np.inf)))
    bound = upper_bound(allowed, images, confidence)
    return threshold, Promise(false_reject_rate=bound, confidence=confidence, images=images, allowed_above=allowed, exact=exact)


def _binomial_cdf(k: int, n: int, p: float) -> float:
    """P(Binomial(n, p) ≤ k), summed from logarithms so that it holds for any n."""
    if p <= 0:
        return 1.0
    if p >= 1:
        return 0.0
    log_p, log_q = math.log(p), math.log1p(-p)
    head = math.lgamma(n + 1)
    terms = (head - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * log_p + (n - i) * log_q for i in range(k + 1))
    return min(1.0, math.fsum(math.exp(term) for term in terms))
