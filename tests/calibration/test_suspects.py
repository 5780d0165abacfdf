from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibration.image_result import ImageResult
from calibration.session_shift import session_shares
from calibration.suspects import MINIMUM, far_above, with_suspects


def results(count: int = 60, seed: int = 0, session: str = "") -> list[ImageResult]:
    """Good images: scores of a Gumbel, the largest of many positions."""
    random = np.random.default_rng(seed)
    return [
        ImageResult(
            Path(f"{seed}-{index}.png"), f"{seed}-{index}", session, "threshold", None,
            10 + random.gumbel(), 2 + 0.2 * random.gumbel(), 12 + random.gumbel(),
            0.5 + 0.01 * random.normal(), 0.0, 60 * np.exp(0.1 * random.normal()),
        )
        for index in range(count)
    ]  # fmt: skip


def changed(image: ImageResult, **values: float) -> ImageResult:
    return ImageResult(**{name: values.get(name, getattr(image, name)) for name in ImageResult.__dataclass_fields__})  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(20))
def test_good_images_are_seldom_suspects(seed: int) -> None:
    assert sum(bool(image.suspect) for image in with_suspects(results(200, seed))) <= 2


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ({"feature_score": 30.0}, "L1"), ({"reconstruction_score": 9.0}, "L2"), ({"score": 40.0}, "score"),
        ({"sharpness": 4.0}, "blurred"),
        ({"brightness": 0.1}, "dark"), ({"brightness": 0.95}, "bright"), ({"saturation": 0.4}, "overexposed"),
    ],
)  # fmt: skip
def test_what_is_off_is_named_with_its_reason_also_when_several_are(value: dict[str, float], word: str) -> None:
    images = results()
    images[:6] = [changed(image, **value) for image in images[:6]]
    found = with_suspects(images)
    assert all(any(reason.startswith(word) or f"its {word}" in reason for reason in image.suspect) for image in found[:6])
    assert sum(bool(image.suspect) for image in found[6:]) <= 1


def test_few_images_or_equal_ones_give_no_suspect() -> None:
    assert not far_above(np.array([1.0] * (MINIMUM - 2) + [100.0]), 6.0).any()
    assert not far_above(np.ones(50), 6.0).any()


def test_a_session_that_scores_higher_is_named_and_others_are_not() -> None:
    days = [*results(60, 1, "monday"), *results(60, 2, "tuesday")]
    shifted = [changed(image, score=image.score + 5) for image in results(30, 3, "wednesday")]
    shares = {one.session: one for one in session_shares(days + shifted, 100.0, 0.05, 0.95)}
    assert {name for name, one in shares.items() if one.shifted} == {"wednesday"}
    assert shares["wednesday"].above_others > 10
    assert not any(one.shifted for one in session_shares([*days, *results(30, 3, "wednesday")], 100.0, 0.05, 0.95))
    assert session_shares(results(), 100.0, 0.05, 0.95) == []
