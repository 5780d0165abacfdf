"""Exact bounds of binomial counts, without scipy, which a device does not have."""

from __future__ import annotations

import math


def upper_bound(above: int, images: int, confidence: float) -> float:
    """The p with P(Binomial(images, p) ≤ above) = 1 − confidence (Clopper & Pearson 1934); 1 where all are above."""
    if above >= images:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        if binomial_cdf(above, images, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def allowed_above(images: int, rate: float, confidence: float) -> int | None:
    """The most of ``images`` that may lie above the threshold while ``rate`` is kept with ``confidence``; None where not even 0."""
    if upper_bound(0, images, confidence) > rate:
        return None
    low, high = 0, images  # the bound grows with the count, and is 1 where all are above
    while high - low > 1:
        middle = (low + high) // 2
        if upper_bound(middle, images, confidence) <= rate:
            low = middle
        else:
            high = middle
    return low


def images_needed(rate: float, confidence: float) -> int:
    """The fewest images that can support ``rate``: (1 − rate)^n ≤ 1 − confidence."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-rate) - 1e-9)


def binomial_cdf(k: int, n: int, p: float) -> float:
    """P(Binomial(n, p) ≤ k), summed from logarithms so that it holds for any n."""
    if p <= 0:
        return 1.0
    if p >= 1:
        return float(k >= n)
    log_p, log_q = math.log(p), math.log1p(-p)
    head = math.lgamma(n + 1)
    terms = (head - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * log_p + (n - i) * log_q for i in range(k + 1))
    return min(1.0, math.fsum(math.exp(term) for term in terms))


def exceedance_chance(above: int, images: int, others_above: int, others: int) -> float:
    """P(at least ``above`` of ``images`` lie above all but the ``others_above`` highest of ``others``), all exchangeable.

    The share above such an order statistic is Beta(a + 1, n − a), so the count is beta-binomial: a binomial test that
    allows for the threshold being an estimate itself.
    """
    first, second = others_above + 1, others - others_above
    if above <= 0:
        return 1.0
    head = _log_beta(first, second)
    terms = (
        math.lgamma(images + 1) - math.lgamma(j + 1) - math.lgamma(images - j + 1)
        + _log_beta(j + first, images - j + second) - head
        for j in range(above, images + 1)
    )  # fmt: skip
    return min(1.0, math.fsum(math.exp(term) for term in terms))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
