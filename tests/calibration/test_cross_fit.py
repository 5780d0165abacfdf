"""No image has a part in what scores it; folds are on one scale; the threshold of few images keeps what it promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.cross_fit import FoldTerms, cross_fit, joint
from calibration.folds import assign_folds
from calibration.term_weights import weigh_terms

TRUST = [1.0, 0.5, 0.7]


def folds_of(terms: np.ndarray, fold_of: tuple[int, ...]) -> list[FoldTerms]:
    held = [[i for i, one in enumerate(fold_of) if one == fold] for fold in sorted(set(fold_of))]
    return [FoldTerms(one, terms[one], np.delete(terms, one, axis=0)) for one in held]


def some_terms(seed: int, count: int = 24) -> np.ndarray:
    return np.random.default_rng(seed).gamma(3.0, size=(count, 3)) * [1.0, 20.0, 0.1] + [2.0, 5.0, 0.2]


@given(st.integers(0, 200), st.integers(0, 23), st.floats(0.1, 50))
def test_an_image_has_no_part_in_the_weights_that_rank_it(seed: int, index: int, factor: float) -> None:
    """The scores of its fold stay a line of the joint score by the others' weights, whatever its own terms are."""
    terms = some_terms(seed)
    changed = terms.copy()
    changed[index, 1] *= factor
    fold_of = tuple(i % 4 for i in range(len(terms)))
    held = [i for i, one in enumerate(fold_of) if one == fold_of[index]]
    outside = np.delete(terms, held, axis=0)
    own = joint(*weigh_terms(outside, TRUST))
    for data in (terms, changed):
        scores = cross_fit(folds_of(data, fold_of), TRUST, "spread", np.ones(3)).scores[held].astype(np.float64)
        line = np.polyfit(data[held] @ own, scores, 1)
        assert np.polyval(line, data[held] @ own) == pytest.approx(scores, rel=1e-4)


@given(st.integers(0, 200), st.floats(0.01, 100))
def test_scores_are_on_the_final_scale_whatever_the_unit_of_a_term(seed: int, unit: float) -> None:
    terms = some_terms(seed)
    fold_of = tuple(i % 5 for i in range(len(terms)))
    first = cross_fit(folds_of(terms, fold_of), TRUST, "spread", np.ones(3))
    second = cross_fit(folds_of(terms * [1.0, unit, 1.0], fold_of), TRUST, "spread", np.ones(3))
    assert second.scores == pytest.approx(first.scores, rel=1e-4)
    final = terms @ joint(*first.weights)
    assert abs(first.scores.mean() - final.mean()) < 0.5 * final.std()
    assert np.corrcoef(first.scores, final)[0, 1] > 0.9


def test_the_bundles_weights_are_taken_as_they_are() -> None:
    terms = some_terms(1)
    fitted = cross_fit(folds_of(terms, tuple(i % 3 for i in range(24))), TRUST, "bundle", np.array([1.0, 2.0, 3.0]))
    assert fitted.scores == pytest.approx(terms @ [1.0, 2.0, 3.0])


@given(st.lists(st.sampled_from("abcdef"), min_size=5, max_size=60), st.integers(2, 6), st.integers(1, 10))
def test_sessions_stay_together_where_they_leave_enough_outside(sessions: list[str], most: int, outside: int) -> None:
    folds = assign_folds(sessions, most, outside)
    assert 2 <= folds.count <= most
    if folds.by_session:
        for session in set(sessions):
            assert len({fold for fold, one in zip(folds.of_image, sessions, strict=True) if one == session}) == 1
        assert min(len(folds.outside(fold)) for fold in range(folds.count)) >= outside
    renamed = [{"a": "z", "b": "y"}.get(one, one) for one in sessions]
    assert assign_folds(renamed, most, outside) == folds


def test_one_session_or_unequal_ones_are_folded_by_image() -> None:
    assert not assign_folds(["a"] * 20, 5, 10).by_session
    unequal = assign_folds(["a"] * 30 + ["b"] * 3, 5, 10)
    assert not unequal.by_session
    assert unequal.count == 5
    assert assign_folds(["a"] * 15 + ["b"] * 15, 30, 10).count == 2
