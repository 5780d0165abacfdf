"""The one graph: everything from the resized frame to the scores, as a torch module to be exported."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edge.calibration_tensors import CalibrationTensors
from edge.graph_contract import GraphShape
from trainer.model import GRID_STRIDE, Model

SATURATED = 250.0


class InspectionGraph(nn.Module):
    """Inputs and outputs as in ``edge.graph_contract``; FP32 from Z on, distances centred before they are expanded."""

    laplacian: Tensor
    grey: Tensor

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model
        laplacian = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
        self.register_buffer("laplacian", laplacian.reshape(1, 1, 3, 3))
        self.register_buffer("grey", torch.tensor([0.114, 0.587, 0.299]).reshape(1, 3, 1, 1))

    def shape(self) -> GraphShape:
        """The static sizes of this graph."""
        config, model = self.model.config, self.model
        size = config.input_size
        return GraphShape(
            height=size, width=size, channels=config.feature_channels, groups=model.groups,
            centers=config.centers, map_height=model.grid, map_width=model.grid,
        )  # fmt: skip

    def forward(
        self,
        image: Tensor,
        feature_mean: Tensor,
        feature_scale: Tensor,
        centers: Tensor,
        reconstruction_offset: Tensor,
        reconstruction_scale: Tensor,
        ignore_mask: Tensor,
        feature_weight: Tensor,
        reconstruction_weight: Tensor,
    ) -> tuple[Tensor, ...]:
        """Returns feature_score, reconstruction_score, score, anomaly_map, map_mean, image_quality, feature, reconstruction."""
        bgr = image.to(torch.float32).permute(0, 3, 1, 2)
        small = F.avg_pool2d(bgr, GRID_STRIDE) * (1.0 / 255.0)
        rgb = torch.cat([bgr[:, 2:3], bgr[:, 1:2], bgr[:, 0:1]], dim=1)
        feature, image_hat, error = self.model(rgb, small)
        judged = 1.0 - ignore_mask

        distances = nearest_center_distance(feature, feature_mean, feature_scale, centers) * judged
        feature_score = distances.amax(dim=(1, 2)).sum().reshape(1)
        error_map = (error[0, 0] - reconstruction_offset) * reconstruction_scale * judged
        reconstruction_score = error_map.amax(dim=(0, 1)).reshape(1)
        score = feature_weight * feature_score + reconstruction_weight * reconstruction_score
        anomaly_map = (feature_weight * distances.sum(0) + reconstruction_weight * error_map)[None]

        grey = (bgr * self.grey).sum(1, keepdim=True)
        quality = torch.stack(
            [
                grey.mean() * (1.0 / 255.0),
                (grey >= SATURATED).to(torch.float32).mean(),
                F.conv2d(grey, self.laplacian).square().mean(),
            ]
        )
        return feature_score, reconstruction_score, score, anomaly_map, anomaly_map.mean().reshape(1), quality, feature, image_hat

    def arguments(self, image: Tensor, tensors: CalibrationTensors) -> tuple[Tensor, ...]:
        """The positional inputs of ``forward``."""
        return (image, *(torch.from_numpy(array) for _, array in tensors.items()))


def nearest_center_distance(feature: Tensor, mean: Tensor, scale: Tensor, centers: Tensor) -> Tensor:
    """‖z − c‖ to the nearest of K centres for each group and position (eq. 3), averaged over 3×3 positions, G×h×w.

    feature 1×D×h×w; mean, scale [D]; centers G×K×D/G. ‖z−c‖² = ‖z‖² − 2z·c + ‖c‖², z being centred already.
    """
    groups, _, width = centers.shape
    h, w = feature.shape[2], feature.shape[3]
    z = ((feature[0] - mean[:, None, None]) * scale[:, None, None]).reshape(groups, width, h * w)
    cross = torch.matmul(centers, z)
    square = (centers * centers).sum(2)[:, :, None] - 2.0 * cross
    nearest = square.amin(dim=1) + (z * z).sum(1)
    distance = torch.sqrt(torch.clamp(nearest, min=0.0)).reshape(1, groups, h, w)
    return F.avg_pool2d(distance, 3, 1, 1, count_include_pad=False)[0]
