"""The calibration a bundle starts with: C, the norm's statistics and the weights, through the checkpoint."""

from __future__ import annotations

import numpy as np
import torch

from calibration.center import Features, derive_center
from calibration.term_weights import WeightRule, reciprocal_size, term_weights
from edge.calibration_tensors import CalibrationTensors
from edge.frame import Image
from tools.inspection_graph import InspectionGraph


def start_calibration(
    graph: InspectionGraph, features: Features, pictures: list[Image], rule: WeightRule, by_hand: tuple[float, float] | None = None
) -> CalibrationTensors:
    """C from ``features`` of the learned images; the groups' weights by their spread over ``pictures``; λ1, λ2 by ``rule``.

    A moving average that training kept is C where the norm has one centre.
    """
    config, groups = graph.model.config, len(graph.shape.groups)
    center = graph.model.center[0].numpy() if config.center == "moving_average" else None
    tensors = derive_center(features, graph.shape, center=center)
    alone = []
    for group in range(groups):
        current = tensors.with_group_weights([float(group == other) for other in range(groups)])
        alone.append(np.array([score(graph, current, picture) for picture in pictures]))
    weights = [reciprocal_size(scores[:, 0], "spread") if groups > 1 else 1.0 for scores in alone]
    tensors = tensors.with_group_weights(weights)
    if by_hand is not None:
        return tensors.with_weights(*by_hand)
    feature_scores = np.sum([weight * scores[:, 0] for weight, scores in zip(weights, alone, strict=True)], axis=0)
    return tensors.with_weights(*term_weights(feature_scores, alone[0][:, 1], rule))


def score(graph: InspectionGraph, tensors: CalibrationTensors, picture: Image) -> tuple[float, float, float]:
    """L1, L2 and L of one picture (uint8 H×W×3, BGR) by the checkpoint."""
    with torch.no_grad():
        result = graph(*graph.arguments(torch.from_numpy(picture)[None], tensors))
    return float(result[0]), float(result[1]), float(result[2])
