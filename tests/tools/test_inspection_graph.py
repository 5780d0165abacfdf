from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from tools.inspection_graph import LEAST_GAIN, MOST_GAIN, with_normal_brightness  # noqa: E402

pytestmark = pytest.mark.torch
ALLOWED = torch.tensor([90.0, 110.0])


def lit(level: float) -> tuple[torch.Tensor, torch.Tensor]:
    picture = torch.full((1, 3, 4, 4), level)
    return picture, with_normal_brightness(picture, picture.mean(), ALLOWED)


@given(st.floats(90.0, 110.0))
def test_within_the_range_of_normal_parts_nothing_changes(level: float) -> None:
    before, after = lit(level)
    assert torch.equal(before, after)


@pytest.mark.parametrize(("level", "brought_to"), [(75.0, 90.0), (130.0, 110.0)])
def test_outside_it_the_picture_is_brought_to_its_edge(level: float, brought_to: float) -> None:
    assert float(lit(level)[1].mean()) == pytest.approx(brought_to)


@pytest.mark.parametrize(("level", "gain"), [(20.0, MOST_GAIN), (250.0, LEAST_GAIN)])
def test_far_outside_it_stays_abnormal(level: float, gain: float) -> None:
    assert float(lit(level)[1].mean()) == pytest.approx(level * gain)


def test_a_black_picture_stays_black() -> None:
    assert np.array_equal(lit(0.0)[1].numpy(), np.zeros((1, 3, 4, 4), np.float32))


def test_no_picture_gets_brighter_than_white() -> None:
    picture = torch.zeros(1, 3, 4, 4)
    picture[..., :1] = 255.0
    assert float(with_normal_brightness(picture, picture.mean(), ALLOWED).max()) == 255.0
