from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.binomial_bound import images_needed
from calibration.normal_images import BLEND_FROM, EXACT_CENTER, MINIMUM_FRESH, MINIMUM_WEIGHTS, SITE_FROM, Jobs, assign_jobs
from edge.errors import ImageError
from edge.pictures.image_file import Survey


def survey(fresh: int, seen: int = 0, sessions: int = 1) -> tuple[Survey, set[str]]:
    digests = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(fresh + seen)]
    files = sorted(((Path(d), d) for d in digests), key=lambda one: one[1])
    return Survey(files, [], 0, None, {d: f"day{i % sessions}" for i, d in enumerate(digests)}), set(digests[fresh:])


def digests(jobs: Jobs) -> tuple[set[str], set[str], set[str]]:
    center, weights, threshold = ({digest for _, digest in job} for job in (jobs.center, jobs.weights, jobs.threshold))
    return center, weights, threshold


@given(
    st.integers(MINIMUM_FRESH, 900), st.integers(0, 200), st.integers(1, 7), st.sampled_from(["auto", "site", "bundle", "blend"]),
    st.sampled_from(["spread", "bundle"]), st.sampled_from([None, 0.2, 0.01, 0.005]),
)  # fmt: skip
def test_no_image_does_two_jobs_but_in_another_fold(
    fresh: int, seen: int, sessions: int, choice: str, rule: str, rate: float | None
) -> None:
    images, learned = survey(fresh, seen, sessions)
    try:
        jobs = assign_jobs(images, learned, choice, rule, rate)  # type: ignore[arg-type]
    except ImageError:
        assert fresh < {"site": SITE_FROM, "blend": BLEND_FROM}[choice]
        return
    center, weights, threshold = digests(jobs)
    assert not (weights | threshold) & learned
    assert len(threshold) >= MINIMUM_FRESH
    assert jobs.passed_over == (seen if not center & learned else 0)
    if choice == "bundle":
        assert not center
    if jobs.folds is None:
        assert jobs.kind == "exact"
        assert not center & (weights | threshold)
        assert not weights & threshold
        assert len(weights) >= MINIMUM_WEIGHTS or (rule == "bundle" and not weights)
    else:
        assert jobs.kind == "approximate"
        assert weights == threshold
        assert center in (set(), threshold) or center <= learned
        assert len(jobs.folds.of_image) == len(threshold)
        for fold in range(jobs.folds.count):
            held, outside = jobs.folds.held(fold), jobs.folds.outside(fold)
            assert held
            assert outside
            assert sorted(held + outside) == list(range(len(threshold)))


def test_training_images_set_c_where_most_of_them_are_here() -> None:
    images, learned = survey(fresh=80, seen=160)
    jobs = assign_jobs(images, learned)
    assert digests(jobs)[0] == learned
    assert jobs.kind == "exact"


def test_another_site_sets_its_own_c() -> None:
    images, _ = survey(fresh=200)
    jobs = assign_jobs(images, set(map(str, range(100))))
    assert (len(jobs.center), len(jobs.weights), len(jobs.threshold)) == (80, 24, 96)
    assert jobs.kind == "exact"


def test_a_split_must_leave_the_threshold_enough_to_promise_five_percent() -> None:
    needed = images_needed(0.05, 0.95)
    assert assign_jobs(survey(200)[0], set(), "bundle").kind == "exact"
    assert len(assign_jobs(survey(74)[0], set(), "bundle").threshold) == needed
    jobs = assign_jobs(survey(73)[0], set(), "bundle")
    assert (jobs.kind, len(jobs.threshold), jobs.center) == ("approximate", 73, [])
    jobs = assign_jobs(survey(100)[0], set())
    assert (jobs.kind, len(jobs.center), len(jobs.threshold)) == ("approximate", 100, 100)


def test_a_rate_asked_for_moves_images_to_the_threshold_as_long_as_c_keeps_some() -> None:
    jobs = assign_jobs(survey(700)[0], set(), rate=0.005)
    assert (jobs.kind, len(jobs.threshold)) == ("exact", 598)
    assert len(jobs.center) >= EXACT_CENTER
    jobs = assign_jobs(survey(620)[0], set(), rate=0.005)
    assert (jobs.kind, len(jobs.threshold)) == ("approximate", 620)
    assert assign_jobs(survey(608)[0], set(), "bundle", rate=0.005).kind == "exact"


def test_with_nothing_to_derive_but_the_threshold_even_few_images_are_exact() -> None:
    jobs = assign_jobs(survey(20)[0], set(), "bundle", "bundle")
    assert (jobs.kind, jobs.weights, len(jobs.threshold)) == ("exact", [], 20)


@pytest.mark.parametrize("fresh", range(MINIMUM_FRESH))
def test_too_few_images_say_how_many(fresh: int) -> None:
    images, learned = survey(fresh, seen=30)
    with pytest.raises(ImageError, match=rf"needs at least 5 .* found {fresh} \(30 more were trained on\)"):
        assign_jobs(images, learned)
