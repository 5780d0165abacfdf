"""Whether a picture can be judged at all: frozen, black, washed out, badly blurred, or of a view that has moved. Pure.

The limits are far outside what good parts show, and what the scores and the drift monitor are for: measured in docs/states.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge.frame import Image
from edge.pictures.frame_health_config import FrameHealthConfig
from edge.pictures.still_picture import StillPicture
from edge.pictures.view_registration import ViewRegistration
from edge.slots.slot_record import Baseline
from edge.verdict import Scores

FROZEN = "it is frozen; check its cable, or start it anew"


class FrameHealth:
    """Looks at each frame of one opened camera, judged by one slot; make another where either changes. One thread."""

    def __init__(
        self,
        config: FrameHealthConfig,
        baseline: Mapping[str, Baseline],
        references: Sequence[Image],
        live: bool,
        triggered: bool = False,
    ) -> None:
        """references: the slot's pictures, as the engine gets them. live: a recording may well show the same picture twice.

        triggered: each picture is of another part.
        """
        self._config, self._baseline, self._live, self._triggered = config, baseline, live, triggered
        self._view = ViewRegistration(references, config.moved_above) if config.moved else None
        self._still = StillPicture()
        self._last_stamp: int | None = None

    def frozen(self, image: Image, driver_ns: int | None = None, still_ns: int = 0) -> str:
        """Why ``image``, uint8 H×W×3 as the camera gave it, is not a new one; empty where it is.

        driver_ns: the driver's own time stamp, None where it gives none; one that goes on proves little: a grabber stamps the last
        picture of a dead source anew for ever. still_ns: as Frame has it. A camera may give a picture twice to keep its rate, and a
        scene without noise may stand still; but no two parts look the same to the last bit.
        The last image is kept, not copied: its memory must not be written to until the next call.
        """
        if not self._live:
            return ""
        still_ms, stands_still = self._config.still_ms, driver_ns is None or driver_ns == self._last_stamp
        again, self._last_stamp = self._still.again(image), driver_ns
        if still_ms is not None and still_ns >= still_ms * 1e6:
            return f"the camera has given the same picture for {still_ns / 1e6:.0f} ms: {FROZEN}"
        if again and (stands_still or (self._triggered and still_ms is not None)):
            return f"the camera gave the same picture again: {FROZEN}"
        return ""

    def unfit(self, scores: Scores) -> str:
        """Why a picture with these brightness, saturation and sharpness cannot be judged; empty where it can."""
        config = self._config
        brightness, saturation, sharpness = (self._baseline.get(name) for name in ("brightness", "saturation", "sharpness"))
        if brightness is not None:
            darkest, brightest = brightness.quantiles[0], brightness.quantiles[-1]
            if scores.brightness < config.dark_below * darkest:
                return f"too dark a picture (mean grey {scores.brightness:.3f}, good ones {darkest:.3f} and more); check the light"
            if scores.brightness > config.bright_above * brightest:
                return f"too bright a picture (mean grey {scores.brightness:.3f}, good ones up to {brightest:.3f}); check the light"
        if saturation is not None:
            most = saturation.quantiles[-1]
            if scores.saturation > most + config.saturated_above * (1 - most):
                return f"a washed out picture ({scores.saturation:.0%} white, good ones up to {most:.0%}); check the light"
        if sharpness is not None:
            least = sharpness.quantiles[0]
            if scores.sharpness < config.blurred_below * least:
                return f"a blurred picture (sharpness {scores.sharpness:.3g}, good ones {least:.3g} and more); check the lens"
        return ""

    def moved(self, image: Image) -> str:
        """Why the view is no longer that of the calibration; ``image`` is uint8 height×width×3 as the engine gets it."""
        shift = self._view.add(image) if self._view is not None else None
        if shift is None:
            return ""
        return (
            f"the view has moved by {shift.right:+.1%} of its width and {shift.down:+.1%} of its height since the calibration; "
            "put the camera back, or calibrate again"
        )
