"""Does one session score higher than the others would have it? Then good parts of such a day are not those of the promise."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from calibration.binomial_bound import allowed_above, exceedance_chance
from calibration.image_result import ImageResult
from calibration.threshold import BEST_DEFAULT_RATE

SIGNIFICANT = 0.05
"""For all sessions together (Bonferroni)."""


@dataclass(frozen=True)
class SessionShare:
    """One session's images for the threshold: how many lie above the threshold, and above the one the other sessions would set.

    chance: of at least so many ``above_others``, were this session like the others; below 5 % over the sessions it is ``shifted``.
    """

    session: str
    images: int
    above: int
    above_others: int
    chance: float
    shifted: bool


def session_shares(images: list[ImageResult], threshold: float, rate: float, confidence: float) -> list[SessionShare]:
    """Of the images with a part in the threshold; empty where they are of one session. rate, confidence: of the promise."""
    scores: dict[str, list[float]] = defaultdict(list)
    for image in images:
        if image.job in ("threshold", "all"):
            scores[image.session].append(image.score)
    if len(scores) < 2:
        return []
    shares = []
    for session, own in sorted(scores.items()):
        others = np.sort([one for name, values in scores.items() if name != session for one in values])
        allowed = allowed_above(len(others), max(rate, BEST_DEFAULT_RATE), confidence) or 0
        above = int((np.array(own) > others[len(others) - 1 - allowed]).sum())
        chance = exceedance_chance(above, len(own), allowed, len(others))
        shifted = chance < SIGNIFICANT / len(scores)
        shares.append(SessionShare(session, len(own), int((np.array(own) >= threshold).sum()), above, chance, shifted))
    return shares
