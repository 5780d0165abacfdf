from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from edge.graph_contract import FeatureGroup  # noqa: E402
from tools import inspection_graph  # noqa: E402
from tools.inspection_graph import LEAST_GAIN, MOST_GAIN, feature_distance, with_normal_brightness  # noqa: E402

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


@pytest.mark.parametrize("table_bytes", [1, 4 * 40 * 7, 1 << 21])
def test_the_nearest_centre_is_found_in_pieces_of_any_size(table_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection_graph, "TABLE_BYTES", table_bytes)
    random = np.random.default_rng(0)
    z = random.normal(0, 1, (5, 6, 9)).astype(np.float32)
    centers = random.normal(0, 1, (40, 5)).astype(np.float32)
    z[:, 2, 3] = centers[17]
    group = FeatureGroup(channels=5, norm="nearest", stride=1)
    got = feature_distance(torch.from_numpy(z), group, torch.from_numpy(centers), None).numpy()
    expected = np.linalg.norm(z.astype(float)[:, :, :, None] - centers.astype(float).T[:, None, None], axis=0).min(axis=2)
    assert got.shape == (6, 9)
    assert got == pytest.approx(expected, abs=2e-3)
    assert got[expected > 0.1] == pytest.approx(expected[expected > 0.1], rel=1e-5)


def test_a_position_that_is_not_a_number_stays_so_beside_the_nearest_centre() -> None:
    z = torch.ones(2, 3, 3)
    z[1, 1, 2] = torch.nan
    got = feature_distance(z, FeatureGroup(channels=2, norm="nearest", stride=1), torch.zeros(4, 2), None)
    assert torch.isnan(got).nonzero().tolist() == [[1, 2]]
