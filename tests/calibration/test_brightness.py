from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.brightness import DEVIATIONS, LEAST_WIDTH, brightness_range
from edge.slots.calibration_tensors import CalibrationTensors
from tests.tiny_bundle import SHAPE


def test_the_range_is_as_wide_as_normal_parts_vary() -> None:
    brightness = np.random.default_rng(0).normal(0.5, 0.02, 500)
    low, high = brightness_range(brightness)
    assert low == pytest.approx(255 * (brightness.mean() - DEVIATIONS * brightness.std()))
    assert high == pytest.approx(255 * (brightness.mean() + DEVIATIONS * brightness.std()))


def test_one_part_photographed_again_leaves_some_room() -> None:
    low, high = brightness_range(np.full(5, 0.4))
    assert (low, high) == (pytest.approx(255 * 0.4 * (1 - LEAST_WIDTH)), pytest.approx(255 * 0.4 * (1 + LEAST_WIDTH)))


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=50))
def test_any_pictures_give_a_range_the_graph_accepts(brightness: list[float]) -> None:
    tensors = CalibrationTensors.neutral(SHAPE).replace(brightness_range=brightness_range(np.array(brightness)))
    tensors.check(SHAPE, "here")
