"""How far from the calibration's pictures one may be and still be judged."""

from __future__ import annotations

from pydantic import Field

from edge.storage.strict_yaml import StrictModel


class FrameHealthConfig(StrictModel):
    """When a picture cannot be judged. Shares are of what the calibration's good pictures had."""

    dark_below: float = Field(0.4, ge=0, lt=1, description="mean grey, share of the darkest good picture's")
    bright_above: float = Field(2.0, gt=1, description="mean grey, share of the brightest good picture's")
    saturated_above: float = Field(
        0.5, gt=0, le=1, description="white pixels, share of those that no good picture had white; 1 turns it off"
    )
    blurred_below: float = Field(0.02, ge=0, lt=1, description="sharpness, share of the least sharp good picture's; 0 turns it off")
    moved_above: float = Field(0.08, ge=0.02, le=0.4, description="shift of the view, share of its width and height")
    still_ms: float | None = Field(
        250, gt=0, description="the same picture to the last bit for so long is a frozen one; left empty where none has noise"
    )
    moved: bool = Field(True, description="false where nothing in the picture has a place of its own")
