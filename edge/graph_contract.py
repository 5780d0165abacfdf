"""The names and shapes every inspection graph keeps, whatever model is inside."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edge.storage.strict_yaml import StrictModel

IMAGE = "image"
SCORES = ("feature_score", "reconstruction_score", "score")
ANOMALY_MAP = "anomaly_map"
MAP_MEAN = "map_mean"
"""float32 [1]: mean of the anomaly map. Runtimes drop a NaN in a maximum; a mean carries it to the decision."""
IMAGE_QUALITY = "image_quality"
"""float32 [3]: brightness (mean grey, 0…1), saturation (share of pixels at 250 or above), sharpness (mean squared Laplacian)."""
FEATURE = "feature"
RECONSTRUCTION = "reconstruction"
GROUP_SCORES = "group_scores"
"""float32 [G]: L1 of each group, not yet weighted; calibration derives the weights from it."""
INSPECTION_OUTPUTS = (*SCORES, ANOMALY_MAP, MAP_MEAN, IMAGE_QUALITY)

FeatureNorm = Literal["nearest", "l2", "l1", "mahalanobis"]


class FeatureGroup(StrictModel):
    """Channels of Z that are measured together (eq. 3): their number, the norm, and how coarse their own grid is.

    nearest: L2 distance to the nearest of K centres. l2, l1: distance to the mean at the same position. mahalanobis: the same,
    whitened by the covariance at that position. ``stride``: Z holds each value of the group stride×stride times.
    """

    channels: int = Field(ge=1)
    norm: FeatureNorm
    stride: int = Field(1, ge=1)


class GraphShape(StrictModel):
    """Static sizes of one graph. Input ``image`` is uint8 1×height×width×3, BGR.

    ``feature`` is 1×channels×feature_height×feature_width, the anomaly map 1×map_height×map_width, of the same grid or a finer one.
    """

    height: int = Field(ge=16)
    width: int = Field(ge=16)
    groups: list[FeatureGroup] = Field(min_length=1)
    feature_height: int = Field(ge=1)
    feature_width: int = Field(ge=1)
    centers: int = Field(ge=1)
    map_height: int = Field(ge=1)
    map_width: int = Field(ge=1)

    @property
    def channels(self) -> int:
        """Channels of Z, all groups together."""
        return sum(group.channels for group in self.groups)

    def channel_slices(self) -> list[slice]:
        """Where in Z each group's channels lie."""
        ends = [sum(group.channels for group in self.groups[: i + 1]) for i in range(len(self.groups))]
        return [slice(end - group.channels, end) for end, group in zip(ends, self.groups, strict=True)]

    def group_grid(self, group: FeatureGroup) -> tuple[int, int]:
        """Height and width of the group's own grid."""
        return self.feature_height // group.stride, self.feature_width // group.stride
