"""The calibration a bundle starts with: C, the norm's statistics and the weights, through the exported graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.brightness import brightness_range
from calibration.center import derive_center
from calibration.term_weights import WeightRule, weigh_terms
from edge.engines.base import Engine
from edge.frame import Image
from edge.slots.calibration_tensors import Array, CalibrationTensors
from tools.reliability import term_reliability


@dataclass(frozen=True)
class StartCalibration:
    """The tensors, and how reliable each term is (groups of L1, then L2), which calibration at the line goes on using."""

    tensors: CalibrationTensors
    reliability: list[float]


def start_calibration(
    engine: Engine,
    learned: dict[str, NDArray[Any]],
    pictures: list[Image],
    held_out: list[Image],
    rule: WeightRule,
    by_hand: tuple[float, float] | None = None,
    center: Array | None = None,
) -> StartCalibration:
    """C from the ``learned`` images; weights by ``rule`` over ``pictures``, λ1 and λ2 ``by_hand`` where given.

    learned: what ``trainer.training_run.learned_features`` gives. held_out: normal images that were not learned from, for the
    reliability of the terms. center [D, h, w]: the moving average that training kept, C where the norm has one centre.
    """
    features = [learned[f"group_{index}"] for index in range(len(engine.shape.groups))]
    tensors = derive_center(features, engine.shape, center=center)
    tensors = tensors.replace(brightness_range=brightness_range(learned["brightness"]))
    engine.bind(tensors)

    def terms(picture: Image) -> NDArray[np.float64]:
        return engine.read_terms(picture)[0]

    reliability = term_reliability(held_out, terms, len(features) + 1)
    scores = np.array([terms(picture) for picture in pictures])
    group_weights, feature_weight, reconstruction_weight = weigh_terms(scores, reliability, rule)
    weighted = tensors.with_group_weights(group_weights).with_weights(*(by_hand or (feature_weight, reconstruction_weight)))
    return StartCalibration(weighted, reliability)
