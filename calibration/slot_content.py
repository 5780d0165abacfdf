"""What a calibration writes into its slot's record."""

from __future__ import annotations

import time
from typing import Any

from calibration.check_images import Checked
from calibration.derive import Derived
from calibration.image_result import ImageResult
from calibration.normal_images import Jobs
from edge.bundle import Bundle
from edge.cameras.camera_settings import CameraSettings
from edge.engines.base import Engine
from edge.line.station_view import StationView
from edge.pictures.image_file import Survey


def slot_content(
    bundle: Bundle,
    engine: Engine,
    precision: str,
    view: StationView,
    survey: Survey,
    jobs: Jobs,
    derived: Derived,
    dropped: list[ImageResult],
    checked: Checked | None,
    settings: CameraSettings | None,
    operator: str,
) -> dict[str, Any]:
    """The fields of ``SlotRecord`` that ``SlotStore.add`` does not fill in itself."""
    return {
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "operator": operator,
        "model_id": bundle.manifest.model_id,
        "model_sha256": bundle.model_sha256(precision),
        "precision": precision,
        "runtime": engine.runtime,
        "view": view.view.model_dump(),
        "frame_size": survey.frame_size,
        "camera_settings": settings.model_dump() if settings is not None else None,
        "threshold": derived.threshold,
        "promise": derived.promise.model_dump(),
        "center_source": jobs.center_source,
        "images": {
            "center": [digest for _, digest in jobs.center],
            "weights": [digest for _, digest in jobs.weights],
            "threshold": [digest for _, digest in jobs.threshold],
        },
        "passed_over": jobs.passed_over,
        "dropped": {image.sha256: "; ".join(image.suspect) for image in dropped},
        "checked": {folder: count.model_dump() for folder, count in checked.counts().items()} if checked else {},
        "baseline": {name: one.model_dump() for name, one in derived.baseline.items()},
    }
