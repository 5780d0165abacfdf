"""The pictures by which a slot proves, at each start, that the engine still scores as it did."""

from __future__ import annotations

from pathlib import Path

from calibration.prepared_images import prepared_images
from edge.bundle import ReferenceImage
from edge.engines.base import Engine
from edge.frame import Image
from edge.line.station_view import StationView

REFERENCES = 2
TOLERANCE = 1e-3
"""Relative to the score: the same engine on the same machine agrees far better; another build of it may not."""


def reference_images(engine: Engine, view: StationView, paths: list[Path]) -> list[tuple[Image, ReferenceImage]]:
    """The first of ``paths`` as the engine takes them, with their scores by the bound calibration."""
    pictures = list(prepared_images(view, paths[:REFERENCES]))
    return [
        (picture, ReferenceImage.of(f"reference{index}.npy", engine.infer(picture).scores, TOLERANCE))
        for index, picture in enumerate(pictures)
    ]
