"""The calibration a bundle starts with: C, the norm's statistics and the weights, through the checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from calibration.brightness import brightness_range
from calibration.center import derive_center
from calibration.term_weights import WeightRule, weigh_terms
from edge.calibration_tensors import CalibrationTensors
from edge.frame import Image
from tools.inspection_graph import InspectionGraph
from tools.reliability import term_reliability


@dataclass(frozen=True)
class StartCalibration:
    """The tensors, and how reliable each term is (groups of L1, then L2), which calibration at the line goes on using."""

    tensors: CalibrationTensors
    reliability: list[float]


def start_calibration(
    graph: InspectionGraph,
    learned: dict[str, NDArray[Any]],
    pictures: list[Image],
    held_out: list[Image],
    rule: WeightRule,
    by_hand: tuple[float, float] | None = None,
) -> StartCalibration:
    """C from the ``learned`` images; weights by ``rule`` over ``pictures``, λ1 and λ2 ``by_hand`` where given.

    learned: what ``trainer.training_run.learned_features`` gives.

    held_out: normal images that were not learned from, for the reliability of the terms. A moving average that training kept is
    C where the norm has one centre.
    """
    center = graph.model.center[0].numpy() if graph.model.config.center == "moving_average" else None
    features = [learned[f"group_{index}"] for index in range(len(graph.shape.groups))]
    tensors = derive_center(features, graph.shape, center=center)
    tensors = tensors.replace(brightness_range=brightness_range(learned["brightness"]))
    reliability = term_reliability(held_out, lambda picture: terms(graph, tensors, picture), len(graph.shape.groups) + 1)
    scores = np.array([terms(graph, tensors, picture) for picture in pictures])
    group_weights, feature_weight, reconstruction_weight = weigh_terms(scores, reliability, rule)
    weighted = tensors.with_group_weights(group_weights).with_weights(*(by_hand or (feature_weight, reconstruction_weight)))
    return StartCalibration(weighted, reliability)


def terms(graph: InspectionGraph, tensors: CalibrationTensors, picture: Image) -> NDArray[np.float64]:
    """L1 of each group, not yet weighted, and L2 of one picture (uint8 H×W×3, BGR) by the checkpoint."""
    with torch.no_grad():
        image, *arrays = graph.arguments(torch.from_numpy(picture)[None], tensors)
        named = dict(zip(CalibrationTensors.shapes(graph.shape), arrays, strict=True))
        _, feature, _, error = graph.look(image, named)
        return np.asarray(graph.terms(*graph.maps(feature, error, named), named).double().numpy())


def score(graph: InspectionGraph, tensors: CalibrationTensors, picture: Image) -> tuple[float, float, float]:
    """L1, L2 and L of one picture (uint8 H×W×3, BGR) by the checkpoint."""
    with torch.no_grad():
        result = graph(*graph.arguments(torch.from_numpy(picture)[None], tensors))
    return float(result[0]), float(result[1]), float(result[2])
