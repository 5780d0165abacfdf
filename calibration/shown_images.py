"""The pictures of the report: the suspects, the most unusual of the others, and what a check got wrong, with their heat maps."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from calibration.check_images import GOOD, Checked
from calibration.derive import Derived
from calibration.image_result import ImageResult
from calibration.run_normal_images import Progress
from edge.engines.base import Engine
from edge.errors import ImageError
from edge.frame import Image
from edge.line.station_view import StationView
from edge.pictures.image_file import read_image
from edge.records.heat_picture import heat_picture
from edge.slots.calibration_tensors import Array

UNUSUAL = 10
MOST = 40
"""Suspects, dropped ones and wrong verdicts that are shown; a folder of another part would make the page too long to look at."""
USUAL_SHARE = 0.95
"""Of the positions of the most unusual images that stay without heat."""
HIGHEST_START = 0.8
"""Of the threshold: the heat begins no higher, so that there is a scale where all of a picture is unusual."""


@dataclass(frozen=True, slots=True)
class Shown:
    """picture: base64 of a JPEG; empty where the file is gone since it was scored."""

    name: str
    caption: str
    reasons: tuple[str, ...]
    picture: str


@dataclass(frozen=True)
class Gallery:
    """What the page shows. more_*: how many there are that it does not show."""

    unusual: list[Shown]
    suspects: list[Shown]
    dropped: list[Shown]
    wrong: list[Shown] = field(default_factory=list)
    more_suspects: int = 0
    more_dropped: int = 0
    more_wrong: int = 0


def to_show(derived: Derived, dropped: Sequence[ImageResult]) -> list[ImageResult]:
    """The images of the gallery that are scored once more: unusual ones, suspects, those dropped."""
    return [*_unusual(derived), *derived.suspects[:MOST], *dropped[:MOST]]


def gallery(
    engine: Engine, view: StationView, derived: Derived, dropped: Sequence[ImageResult], checked: Checked | None, progress: Progress
) -> Gallery:
    """Read the anomaly maps of ``to_show`` again and draw them. Binds the engine, at the end to the final tensors.

    Each by the C that scored it, so that no image is looked at by centres of its own.
    """
    chosen = to_show(derived, dropped)
    maps: dict[str, Array] = {}
    by_center = sorted(chosen, key=lambda image: id(derived.scored_by.get(image.sha256)))
    bound = None
    for image in by_center:
        tensors = derived.scored_by.get(image.sha256, derived.tensors)
        if tensors is not bound:
            engine.bind(tensors)
            bound = tensors
        try:
            picture = view.preprocess(read_image(image.path).image)
        except ImageError:
            progress()
            continue
        maps[image.sha256] = engine.infer(picture).anomaly_map.copy()
        progress()
    engine.bind(derived.tensors)
    unusual = _unusual(derived)
    usual = [maps[image.sha256] for image in unusual if image.sha256 in maps]
    low = float(np.quantile(np.stack(usual), USUAL_SHARE)) if usual else 0.0
    low = min(low, HIGHEST_START * derived.threshold)

    def shown(path: Path, caption: str, reasons: tuple[str, ...], anomaly_map: Array | None) -> Shown:
        picture = b""
        if anomaly_map is not None:
            share = (anomaly_map - low) / max(derived.threshold - low, 1e-9)
            try:
                picture = heat_picture(_region(view, path), share)
            except ImageError:
                picture = b""
        return Shown(path.name, caption, reasons, base64.b64encode(picture).decode())

    def normal(images: Sequence[ImageResult]) -> list[Shown]:
        return [shown(one.path, _caption(one), one.suspect, maps.get(one.sha256)) for one in images]

    wrong = checked.wrong if checked is not None else []
    return Gallery(
        unusual=normal(unusual),
        suspects=normal(derived.suspects[:MOST]),
        dropped=normal(dropped[:MOST]),
        wrong=[
            shown(
                one.path,
                f"{'good, rejected' if one.group == GOOD else 'missed, in ' + one.group} · score {one.scores.score:.4g}",
                (),
                one.anomaly_map,
            )
            for one in wrong[:MOST]
        ],
        more_suspects=max(0, len(derived.suspects) - MOST),
        more_dropped=max(0, len(dropped) - MOST),
        more_wrong=max(0, len(wrong) - MOST),
    )


def _unusual(derived: Derived) -> list[ImageResult]:
    """The highest scores that are not suspect."""
    others = [image for image in derived.images if not image.suspect]
    return sorted(others, key=lambda image: (-image.score, image.sha256))[:UNUSUAL]


def _caption(image: ImageResult) -> str:
    session = f" · session {image.session}" if image.session else ""
    return f"score {image.score:.4g} (L1 {image.feature_score:.3g}, L2 {image.reconstruction_score:.3g}){session}"


def _region(view: StationView, path: Path) -> Image:
    image = read_image(path).image
    return view.region.crop(image) if view.region is not None else image
