"""Exposure, gain and white balance, held still: a threshold is valid only for the light it was derived in."""

from __future__ import annotations

from pydantic import Field

from edge.storage.strict_yaml import StrictModel

TOLERANCE = 0.02
"""Relative; cameras round to their own steps."""


class CameraSettings(StrictModel):
    """What a camera was locked to; None for a figure that it has not, or does not tell."""

    exposure_us: float | None = Field(None, gt=0)
    gain: float | None = None
    white_balance_k: float | None = Field(None, gt=0)

    def describe(self) -> str:
        """In words."""
        words = [f"{name} {value:g}" for name, value in self.model_dump().items() if value is not None]
        return ", ".join(words) or "settings it does not tell"

    def keeps(self, expected: CameraSettings) -> bool:
        """True if every figure that ``expected`` has is here, and the same."""
        mine = self.model_dump()
        return all(value is None or alike(mine[name], value) for name, value in expected.model_dump().items())


def alike(actual: float | None, wanted: float) -> bool:
    """True if a camera that was asked for ``wanted`` and tells ``actual`` does as asked."""
    return actual is not None and abs(actual - wanted) <= TOLERANCE * max(1.0, abs(wanted))
