"""The one graph: everything from the resized frame to the scores, as a torch module to be exported."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edge.graph_contract import FeatureGroup, GraphShape
from edge.pictures.image_quality import GREY, SATURATED
from edge.slots.calibration_tensors import CalibrationTensors, centers_name, whitening_name
from trainer.model import Model

LEAST_GAIN, MOST_GAIN = 0.75, 1.33
"""How far a picture's brightness is corrected: the light of a hall drifts by some tens of percent; beyond, something is wrong."""
TOP_SHARE = 0.01
TABLE_BYTES = 1 << 21
"""Distances to the centres that are computed at a time: few enough to stay in the cache until the smallest is taken."""


class InspectionGraph(nn.Module):
    """Inputs and outputs as in ``edge.graph_contract``; FP32 from Z on, distances centred before they are expanded."""

    laplacian: Tensor

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model
        self.shape = graph_shape(model)
        laplacian = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
        self.register_buffer("laplacian", laplacian.reshape(1, 1, 3, 3))

    def forward(self, image: Tensor, *calibration: Tensor) -> tuple[Tensor, ...]:
        """image uint8 1×H×W×3; calibration: the tensors of ``CalibrationTensors.shapes``, in their order.

        Returns feature_score, reconstruction_score, score, anomaly_map, map_mean, image_quality, feature, reconstruction,
        group_scores.
        """
        tensors = dict(zip(CalibrationTensors.shapes(self.shape), calibration, strict=True))
        grey, feature, image_hat, error = self.look(image, tensors)
        distances, error_map = self.maps(feature, error, tensors)
        pooled = self.terms(distances, error_map, tensors)
        feature_score = (tensors["group_weight"] * pooled[:-1]).sum().reshape(1)
        reconstruction_score = pooled[-1:]
        score = tensors["feature_weight"] * feature_score + tensors["reconstruction_weight"] * reconstruction_score
        distance_map = (tensors["group_weight"][:, None, None] * distances).sum(0)
        anomaly_map = (tensors["feature_weight"] * distance_map + tensors["reconstruction_weight"] * error_map)[None]

        quality = torch.stack(
            [
                grey.mean() * (1.0 / 255.0),
                (grey >= SATURATED).to(torch.float32).mean(),
                F.conv2d(grey, self.laplacian).square().mean(),
            ]
        )
        scores = feature_score, reconstruction_score, score
        return *scores, anomaly_map, anomaly_map.mean().reshape(1), quality, feature, image_hat, pooled[:-1]

    def look(self, image: Tensor, tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The grey picture (1×1×H×W, 0…255) as it came; Z, X̂ and the L2 error map of it at normal brightness."""
        bgr = image.to(torch.float32).permute(0, 3, 1, 2)
        weighted = [weight * plane for weight, plane in zip(GREY.tolist(), bgr.split(1, 1), strict=True)]
        grey = weighted[0] + weighted[1] + weighted[2]
        return grey, *self.model(with_normal_brightness(bgr, grey.mean(), tensors["brightness_range"]))

    def maps(self, feature: Tensor, error: Tensor, tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """L1 of each group (G×H×W) and L2 (H×W) at each position of the map, 0 where nothing is judged."""
        judged = 1.0 - tensors["ignore_mask"]
        error = self.on_the_map(error)[0, 0]
        error_map = (error - tensors["reconstruction_offset"]) * tensors["reconstruction_scale"] * judged
        return self.distances(feature, tensors) * judged, error_map

    def terms(self, distances: Tensor, error_map: Tensor, tensors: dict[str, Tensor]) -> Tensor:
        """L1 of each group, not yet weighted, and L2: G+1 numbers."""
        config, judged = self.model.config, 1.0 - tensors["ignore_mask"]
        pooled = [pool(distance, judged, config.feature_pooling) for distance in distances]
        return torch.stack([*pooled, pool(error_map, judged, config.reconstruction_pooling)])

    def distances(self, feature: Tensor, tensors: dict[str, Tensor]) -> Tensor:
        """Each group's distance from C at each position of the map, G×H×W; a coarse group is measured on its own grid."""
        maps = []
        for index, (part, group) in enumerate(zip(self.shape.channel_slices(), self.shape.groups, strict=True)):
            z = feature[0, part] - tensors["feature_mean"][part]
            z = (z * tensors["feature_scale"][part, None, None])[:, :: group.stride, :: group.stride]
            distance = feature_distance(z, group, tensors.get(centers_name(index)), tensors.get(whitening_name(index)))[None, None]
            if group.stride > 1:  # a coarse position is as wide as a part's outline is uncertain
                distance = F.avg_pool2d(distance, 3, 1, 1, count_include_pad=False)
            maps.append(self.on_the_map(distance)[0, 0])
        return torch.stack(maps)

    def on_the_map(self, values: Tensor) -> Tensor:
        """N×1×h×w, repeated to the grid of the anomaly map."""
        factor = self.shape.map_height // values.shape[2]
        return F.interpolate(values, scale_factor=float(factor), mode="nearest") if factor > 1 else values

    def arguments(self, image: Tensor, tensors: CalibrationTensors) -> tuple[Tensor, ...]:
        """The positional inputs of ``forward``."""
        return (image, *(torch.from_numpy(array) for _, array in tensors.items()))


def graph_shape(model: Model) -> GraphShape:
    """The static sizes of the graph of ``model``."""
    config, encoder = model.config, model.encoder
    return GraphShape(
        height=config.input_size, width=config.input_size, groups=encoder.groups, centers=config.centers,
        feature_height=encoder.grid, feature_width=encoder.grid, map_height=config.grid, map_width=config.grid,
    )  # fmt: skip


def with_normal_brightness(bgr: Tensor, brightness: Tensor, allowed: Tensor) -> Tensor:
    """``bgr`` (0…255) times the gain that brings its ``brightness`` (mean grey) into ``allowed`` (lowest, highest).

    Within the range of normal parts nothing is changed, so that what varies from part to part still counts.
    """
    brightness = torch.clamp(brightness, min=1.0)
    gain = torch.clamp(brightness, min=allowed[0], max=allowed[1]) / brightness
    return torch.clamp(bgr * torch.clamp(gain, LEAST_GAIN, MOST_GAIN), max=255.0)


def feature_distance(z: Tensor, group: FeatureGroup, centers: Tensor | None, whitening: Tensor | None) -> Tensor:
    """L1 at each position (eq. 3), h×w, of z (d×h×w, centred and scaled).

    nearest: ‖z−c‖² = ‖z‖² − 2z·c + ‖c‖² to the nearest of ``centers`` K×d, where (z, 1)·(−2c, ‖c‖²) is one matrix product.
    mahalanobis: ‖A·z‖ with ``whitening`` (h·w)×d×d.
    """
    channels, h, w = z.shape
    rows = z.reshape(channels, h * w)
    if group.norm == "l1":
        return rows.abs().sum(0).reshape(h, w)
    if group.norm == "nearest":
        assert centers is not None
        table = torch.cat([-2.0 * centers, (centers * centers).sum(1, keepdim=True)], 1).T
        positions = torch.cat([rows.T, rows.new_ones(h * w, 1)], 1).split(max(1, TABLE_BYTES // (4 * len(centers))))
        nearest = torch.cat([torch.matmul(some, table).amin(dim=1) for some in positions]) + (rows * rows).sum(0)
        return torch.sqrt(torch.clamp(nearest, min=0.0)).reshape(h, w)
    if group.norm == "mahalanobis":
        assert whitening is not None
        rows = torch.matmul(whitening, rows.T[:, :, None])[:, :, 0].T
    return torch.sqrt((rows * rows).sum(0)).reshape(h, w)


def pool(values: Tensor, judged: Tensor, how: str) -> Tensor:
    """One number of a map H×W whose unjudged positions are 0: the largest, the mean of the top 1 %, or of the judged ones."""
    if how == "mean":
        return values.sum() / judged.sum()
    if how == "top":
        count = max(1, math.ceil(TOP_SHARE * values.numel()))
        return torch.topk(values.flatten(), count).values.mean()
    return values.amax(dim=(0, 1))
