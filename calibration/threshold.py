"""The threshold and what it promises: an order statistic of normal scores with a binomial bound.

With n normal scores, exchangeable with those to come, and the threshold just above all but the k highest, the false-reject
rate p satisfies P(p ≤ p_k) ≥ confidence, where p_k is the Clopper-Pearson upper bound for k of n (Clopper & Pearson 1934).
"""

from __future__ import annotations

import numpy as np

from calibration.binomial_bound import allowed_above, images_needed, upper_bound
from calibration.errors import TooFewImagesError
from calibration.tail_fit import MINIMUM_IMAGES, tail_limit
from edge.slots.calibration_tensors import Array
from edge.slots.slot_record import Promise, PromiseKind

DEFAULT_CONFIDENCE = 0.95
BEST_DEFAULT_RATE = 0.005
"""Without a rate asked for, no better one is promised: a threshold set by the one highest of thousands is a lottery."""
FARTHEST = 12
"""Times the images there are, that a rate to extrapolate to may need: 0.5 % from 50 images, which was measured. Farther out the
upper limit of the tail runs away to where no defect reaches it."""


def require_supported(images: int, rate: float | None, confidence: float, accept: bool) -> None:
    """Raise TooFewImagesError where ``images`` scores can neither support ``rate`` nor, with ``accept``, be extrapolated to it."""
    if rate is None or allowed_above(images, rate, confidence) is not None:
        return
    what = f"a false-reject rate of {rate * 100:.4g}% with {confidence:.0%} confidence"
    have = f"needs {images_needed(rate, confidence)} images for the threshold, there are {images}; give more, or ask for "
    have += f"{_rounded_up(upper_bound(0, images, confidence))} or more"
    if not accept:
        hint = ", or --accept a fit to the tail" if images >= MINIMUM_IMAGES else ""
        raise TooFewImagesError(f"{what} {have}{hint}")
    if images < MINIMUM_IMAGES:
        raise TooFewImagesError(f"{what} {have}; --accept fits a tail to {MINIMUM_IMAGES} or more")
    farthest = upper_bound(0, FARTHEST * images, confidence)
    if rate < farthest:
        raise TooFewImagesError(f"{what} {have}; --accept extrapolates no farther than to {farthest:.2%} from them")


def choose_threshold(
    scores: Array,
    kind: PromiseKind = "exact",
    rate: float | None = None,
    confidence: float = DEFAULT_CONFIDENCE,
    accept: bool = False,
) -> tuple[float, Promise]:
    """The lowest threshold that keeps the promise, and the promise.

    scores: float32 [n], L of normal images. kind: exact where no image shaped its own score, else approximate. rate: asked for,
    or None for the best the images allow (not below 0.5 %). accept: extrapolate to a rate beyond the images, by ``tail_limit``.
    Raises TooFewImagesError. The threshold is the next float32 above what good parts may score, since L ≥ threshold is anomalous.
    """
    images = len(scores)
    require_supported(images, rate, confidence, accept)
    values = np.sort(np.asarray(scores, np.float32))
    allowed = allowed_above(images, BEST_DEFAULT_RATE if rate is None else rate, confidence)
    if allowed is None and rate is not None:
        kept, allowed, bound, kind = np.float32(tail_limit(values, rate, confidence)), 0, rate, "extrapolated"
        kept = max(kept, values[-1])
    else:
        allowed = allowed or 0
        kept, bound = values[images - 1 - allowed], upper_bound(allowed, images, confidence)
    threshold = float(np.nextafter(kept, np.float32(np.inf)))
    return threshold, Promise(false_reject_rate=bound, confidence=confidence, images=images, allowed_above=allowed, kind=kind)


def _rounded_up(share: float) -> str:
    """In per cent, one decimal, never better than it is."""
    return f"{np.ceil(share * 1000 - 1e-9) / 10:.1f}%"
