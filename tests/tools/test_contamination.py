"""Which defective images are trained on, and that they are scored no more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge.errors import ImageError
from tools.benchmark.contamination import contaminate
from tools.benchmark.labelled_set import LabelledSet, open_labelled_set


@pytest.fixture
def labelled(tmp_path: Path, write_parts: Callable[..., Path]) -> LabelledSet:
    folder = tmp_path / "plate"
    for name, count in (("train/good", 40), ("test/good", 3), ("test/dent", 2), ("test/scratch", 3), ("ground_truth/dent", 2)):
        write_parts(folder / name, count, first_seed=len(name) * 100)
    return open_labelled_set(folder)


def test_a_share_is_replaced_and_what_is_trained_on_is_not_scored(labelled: LabelledSet, tmp_path: Path) -> None:
    plan = contaminate(labelled)
    scored = [one.path for group in plan.scored.defects.values() for one in group]
    every = [one.path for group in labelled.defects.values() for one in group]
    assert (len(plan.kept), len(plan.added)) == (38, 2)
    assert sorted([*scored, *plan.added]) == sorted(every)
    assert plan.scored.good == labelled.good
    assert plan.scored.masks == 0
    plan.write(tmp_path / "images")
    plan.write(tmp_path / "images")
    links = sorted((tmp_path / "images" / "train" / "good").iterdir())
    assert [link.resolve() for link in links] == [path.resolve() for path in (*plan.kept, *plan.added)]


def test_the_draw_is_seeded(labelled: LabelledSet) -> None:
    assert contaminate(labelled) == contaminate(labelled)
    assert any(contaminate(labelled, seed=seed).added != contaminate(labelled).added for seed in range(1, 5))
    assert len(contaminate(labelled, share=0.001).added) == 1


def test_a_defect_of_which_nothing_is_left_has_no_row(labelled: LabelledSet) -> None:
    for seed in range(20):
        plan = contaminate(labelled, share=0.1, seed=seed)
        assert all(plan.scored.defects.values())
        assert len(plan.added) == 4


def test_too_few_defects_are_told(labelled: LabelledSet) -> None:
    with pytest.raises(ImageError, match=r"takes 5 defective ones and at least one more to score, found 5"):
        contaminate(labelled, share=0.125)
