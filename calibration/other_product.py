"""Are these pictures of the product the bundle was trained on? Asked before anything is derived from them."""

from __future__ import annotations

from statistics import median

from calibration.normal_images import ImageList
from calibration.run_normal_images import Progress, score_images
from edge.bundle import Bundle
from edge.engines.base import Engine
from edge.errors import ImageError
from edge.line.station_view import StationView

LOOKED_AT = 11
TIMES = 5.0
"""With a trained bundle of bottles, the median score over that of the reference images was 1.0 for other good bottles, 2.4 in
30 % less light, 4.1 for broken ones, and 7.5 to 9 for four other products."""


def require_same_product(bundle: Bundle, engine: Engine, view: StationView, images: ImageList, progress: Progress) -> None:
    """Score some of ``images`` by the bundle's start calibration, bound from here on; raises ImageError where they are far off."""
    engine.bind(bundle.start_calibration().with_ignore_mask(view.ignore_mask))
    references = [one.score for one in bundle.manifest.reference_images]
    if not references:
        return
    scores = [one.score for one in score_images(engine, view, images[:LOOKED_AT], progress)]
    usual, found = median(references), median(scores)
    if found > TIMES * usual > 0:
        raise ImageError(
            f"these images look like another product: by the bundle's own centres they score {found:.3g}, its own good images "
            f"{usual:.3g}; check the folder, the bundle and the station's region, or train a model for this product"
        )
