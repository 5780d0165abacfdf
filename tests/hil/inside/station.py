"""Station files for the stories: every line of the chip, with a photo-eye or without."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from tests.hil.inside.chip import LABEL, OUTPUTS

MS = 1_000_000
TICK_MS = 20
"""Nothing in this machine is promised nearer than that: two of its ticks."""
PULSE_MS, DELAY_MS, DEADLINE_MS = 70, 600, 500
TOLERANCE_MS, EXPOSURE_WITHIN_MS = 30, 300
PITCH_S = 0.14
"""From part to part: so much longer than a pulse that one machine's short standstill mixes up no two of them."""
AT_THE_ARM_S = (DELAY_MS + 2 * PULSE_MS) / 1e3
"""From the trigger until the part has left the arm."""


def free(**more: Any) -> dict[str, Any]:
    """Every frame is a part."""
    station: dict[str, Any] = {
        "camera": {"width": 640, "height": 480},
        "lines": {name: {"chip": LABEL, "line": name} for name in OUTPUTS if name != "strobe"},
        "reject_pulse_ms": PULSE_MS,
        "archive": {"budget_mb": 0},
    }
    return _with(station, more)


def triggered(**more: Any) -> dict[str, Any]:
    """A part for each pulse of the photo-eye."""
    station = free(
        trigger={"kind": "photo_eye", "eye": {"chip": LABEL, "line": "eye"}},
        timing={
            "deadline_ms": DEADLINE_MS,
            "reject_delay_ms": DELAY_MS,
            "tolerance_ms": TOLERANCE_MS,
            "exposure_within_ms": EXPOSURE_WITHIN_MS,
        },
    )
    return _with(station, more)


def _with(station: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    merged = deepcopy(station)
    for key, value in more.items():
        merged[key] = {**merged[key], **value} if isinstance(merged.get(key), dict) and isinstance(value, dict) else value
    return merged
