"""The names and shapes every inspection graph keeps, whatever model is inside."""

from __future__ import annotations

from pydantic import Field

from edge.strict_yaml import StrictModel

IMAGE = "image"
SCORES = ("feature_score", "reconstruction_score", "score")
ANOMALY_MAP = "anomaly_map"
MAP_MEAN = "map_mean"
"""float32 [1]: mean of the anomaly map. Runtimes drop a NaN in a maximum; a mean carries it to the decision."""
IMAGE_QUALITY = "image_quality"
"""float32 [3]: brightness (mean grey, 0…1), saturation (share of pixels at 250 or above), sharpness (mean squared Laplacian)."""
FEATURE = "feature"
RECONSTRUCTION = "reconstruction"
INSPECTION_OUTPUTS = (*SCORES, ANOMALY_MAP, MAP_MEAN, IMAGE_QUALITY)


class GraphShape(StrictModel):
    """Static sizes of one graph. Input ``image`` is uint8 1×height×width×3, BGR; ``feature`` 1×channels×map_height×map_width."""

    height: int = Field(ge=16)
    width: int = Field(ge=16)
    channels: int = Field(ge=1)
    groups: int = Field(ge=1)
    centers: int = Field(ge=1)
    map_height: int = Field(ge=1)
    map_width: int = Field(ge=1)
