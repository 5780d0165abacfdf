from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from trainer.encoder import DEVIATION, MEAN, standardised  # noqa: E402

pytestmark = pytest.mark.torch


def picture(seed: int) -> torch.Tensor:
    return 80 + 80 * torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def test_light_and_contrast_are_taken_out() -> None:
    assert torch.allclose(standardised(0.6 * picture(0) + 30), standardised(picture(0)), atol=1e-2)


def test_each_picture_of_a_batch_gets_the_same_mean_and_contrast() -> None:
    both = standardised(torch.cat([picture(0), 0.5 * picture(1)]))
    for one in both:
        assert float(one.mean()) == pytest.approx(MEAN, abs=1.0)
        assert float(one.std()) == pytest.approx(DEVIATION, rel=0.02)


def test_a_picture_of_one_grey_is_not_divided_by_nothing() -> None:
    flat = standardised(torch.full((1, 3, 8, 8), 40.0))
    assert torch.allclose(flat, torch.full_like(flat, MEAN))
