"""Which normal image does which job, so that none does two, or is scored by statistics it entered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from calibration.binomial_bound import images_needed
from calibration.folds import Folds, assign_folds
from calibration.term_weights import WeightRule
from calibration.threshold import DEFAULT_CONFIDENCE
from edge.errors import ImageError
from edge.pictures.image_file import Survey
from edge.slots.slot_record import PromiseKind

ImageList = list[tuple[Path, str]]
CenterChoice = Literal["auto", "site", "bundle", "blend"]
CenterFrom = Literal["bundle", "training", "site", "blend"]

MINIMUM_FRESH = 5
"""Images that neither training nor C have seen; fewer say nothing about a threshold."""
MINIMUM_CENTER = 20
SITE_FROM = 50
"""From so many fresh images on, C may be derived from them."""
BLEND_FROM = MINIMUM_CENTER
"""From so many fresh images on, they may update the bundle's C."""
EXACT_CENTER = 50
"""A split that is made to fit a rate asked for leaves C at least so many."""
EXACT_RATE = 0.05
"""Images are split where the threshold's part can promise this rate, or the one asked for; where not, jobs are cross-fitted."""
CENTER_SHARE = 0.4
WEIGHTS_SHARE = 0.2
MINIMUM_WEIGHTS = 10
FOLDS = 5
"""Of a cross-fit with its own C in each; weights alone cost nothing, so each image, or session, is left out by itself."""


@dataclass(frozen=True)
class Jobs:
    """(path, sha256) by job. ``center`` may be empty: then the bundle's C stays.

    folds: None where weights and threshold are disjoint (a split); else one list does both, and C too where it is the site's, and
    this says which fold each is in. sessions: sha256 → session, of all images.
    """

    center: ImageList
    weights: ImageList
    threshold: ImageList
    center_from: CenterFrom
    passed_over: int
    folds: Folds | None
    sessions: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> PromiseKind:
        """Of the promise that a threshold from these can give."""
        return "exact" if self.folds is None else "approximate"

    @property
    def own_center(self) -> bool:
        """C is, at least in part, from fresh images."""
        return self.center_from in ("site", "blend")

    @property
    def center_source(self) -> str:
        """Where C is from, in words."""
        count = len(self.center)
        words = {
            "bundle": "the bundle's",
            "training": f"{count} training images",
            "site": f"{count} images of this site",
            "blend": f"the bundle's, updated with {count} images of this site",
        }
        return words[self.center_from]


def assign_jobs(
    survey: Survey,
    learned: set[str],
    choice: CenterChoice = "auto",
    rule: WeightRule = "spread",
    rate: float | None = None,
    confidence: float = DEFAULT_CONFIDENCE,
) -> Jobs:
    """Share out the images of ``survey``, by hash, so that the same files give the same jobs in any order.

    learned: hashes the training saw. They may set C, never λ or the threshold. auto: C from them where at least half of them
    are here; else from fresh images where there are 50 or more; else the bundle's C stays. The fresh images are split where the
    threshold's part supports ``rate`` (5 % where none is asked for), and else cross-fitted. Raises ImageError where fewer than 5
    fresh images are left.
    """
    seen = [one for one in survey.files if one[1] in learned]
    fresh = [one for one in survey.files if one[1] not in learned]
    if len(fresh) < MINIMUM_FRESH:
        raise ImageError(
            f"calibration needs at least {MINIMUM_FRESH} different normal images that the training did not see, found {len(fresh)} "
            f"({len(seen)} more were trained on); take more pictures of good parts"
        )
    center_from = _center_from(choice, len(fresh), len(seen), len(learned))
    passed_over = 0 if center_from == "training" else len(seen)
    own_center = center_from in ("site", "blend")
    trained = seen if center_from == "training" else []
    if rule == "bundle" and not own_center:  # nothing is derived from the fresh images but the threshold
        return Jobs(trained, [], fresh, center_from, passed_over, None, survey.sessions)
    needed = images_needed(EXACT_RATE if rate is None else rate, confidence)
    sizes = _split(len(fresh), own_center, rule != "bundle", needed, asked=rate is not None)
    if sizes is not None:
        center, weights = sizes
        own = fresh[:center] if own_center else trained
        rest = fresh[center:]
        return Jobs(own, rest[:weights], rest[weights:], center_from, passed_over, None, survey.sessions)
    outside = MINIMUM_WEIGHTS + MINIMUM_CENTER if own_center else MINIMUM_WEIGHTS
    most = FOLDS if own_center else len(fresh)
    folds = assign_folds([survey.sessions.get(digest, "") for _, digest in fresh], most, outside)
    return Jobs(fresh if own_center else trained, fresh, fresh, center_from, passed_over, folds, survey.sessions)


def _center_from(choice: CenterChoice, fresh: int, seen: int, learned: int) -> CenterFrom:
    if choice == "bundle":
        return "bundle"
    if choice == "auto":
        if seen >= max(MINIMUM_CENTER, learned / 2):
            return "training"
        return "site" if fresh >= SITE_FROM else "bundle"
    least = SITE_FROM if choice == "site" else BLEND_FROM
    if fresh < least:
        raise ImageError(
            f"--center {choice} needs at least {least} normal images that the training did not see, found {fresh}; "
            "give more, or keep the bundle's C with --center bundle"
        )
    return choice


def _split(fresh: int, own_center: bool, own_weights: bool, needed: int, asked: bool) -> tuple[int, int] | None:
    """(images for C, for the weights), the rest being the threshold's, at least ``needed``; None where that cannot be."""
    center = round(CENTER_SHARE * fresh) if own_center else 0
    weights = max(MINIMUM_WEIGHTS, round(WEIGHTS_SHARE * (fresh - center))) if own_weights else 0
    least = MINIMUM_CENTER if own_center else 0
    if fresh - center - weights < needed and asked:
        spare = fresh - needed
        weights = max(MINIMUM_WEIGHTS, min(weights, spare // 3 if own_center else spare)) if own_weights else 0
        center = spare - weights if own_center else 0
        least = EXACT_CENTER if own_center else 0
    return (center, weights) if center >= least and fresh - center - weights >= max(needed, MINIMUM_FRESH) else None
