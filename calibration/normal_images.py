"""Which normal image does which job, so that none does two."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.errors import ImageError
from edge.image_file import Survey

ImageList = list[tuple[Path, str]]
CenterChoice = Literal["auto", "site", "bundle"]

MINIMUM_FRESH = 5
"""Images that neither training nor C have seen; fewer say nothing about a threshold."""
MINIMUM_CENTER = 20
SITE_FROM = 50
"""From so many fresh images on, C may be derived from a share of them."""
EXACT_FROM = 40
"""From so many fresh images on, λ and the threshold get images of their own, and the promise is exact."""
CENTER_SHARE = 0.4
WEIGHTS_SHARE = 0.2


@dataclass(frozen=True)
class Jobs:
    """(path, sha256) by job. ``center`` may be empty: then the bundle's C stays. ``exact``: weights and threshold are disjoint."""

    center: ImageList
    weights: ImageList
    threshold: ImageList
    center_source: str
    passed_over: int
    exact: bool


def assign_jobs(survey: Survey, learned: set[str], choice: CenterChoice = "auto") -> Jobs:
    """Share out the images of ``survey``, by hash, so that the same files give the same jobs in any order.

    learned: hashes the training saw. They may set C, never λ or the threshold. auto: C from them where at least half of them
    are here; else from 40 % of the fresh images where there are 50 or more; else the bundle's C stays. Raises ImageError where
    fewer than 5 fresh images are left.
    """
    seen = [one for one in survey.files if one[1] in learned]
    fresh = [one for one in survey.files if one[1] not in learned]
    if len(fresh) < MINIMUM_FRESH:
        raise ImageError(
            f"calibration needs at least {MINIMUM_FRESH} different normal images that the training did not see, found {len(fresh)} "
            f"({len(seen)} more were trained on); take more pictures of good parts"
        )
    center: ImageList = []
    source = "the bundle's"
    if choice != "bundle":
        if seen and len(seen) >= max(MINIMUM_CENTER, len(learned) / 2) and choice == "auto":
            center, source = seen, f"{len(seen)} training images"
        elif len(fresh) >= SITE_FROM:
            count = round(CENTER_SHARE * len(fresh))
            center, fresh, source = fresh[:count], fresh[count:], f"{count} images of this site"
        elif choice == "site":
            raise ImageError(
                f"--center site needs at least {SITE_FROM} normal images that the training did not see, found {len(fresh)}; "
                "give more, or keep the bundle's C with --center bundle"
            )
    exact = len(fresh) >= EXACT_FROM or (bool(center) and center is not seen)
    weights_count = max(10, round(WEIGHTS_SHARE * len(fresh)))
    weights, threshold = (fresh[:weights_count], fresh[weights_count:]) if exact else (fresh, fresh)
    passed_over = len(seen) if center is not seen else 0
    return Jobs(center, weights, threshold, source, passed_over, exact)
