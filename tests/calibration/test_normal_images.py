from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.normal_images import EXACT_FROM, MINIMUM_FRESH, SITE_FROM, assign_jobs
from edge.errors import ImageError
from edge.image_file import Survey


def survey(fresh: int, seen: int) -> tuple[Survey, set[str]]:
    digests = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(fresh + seen)]
    return Survey(sorted(((Path(d), d) for d in digests), key=lambda one: one[1]), [], 0), set(digests[fresh:])


@given(st.integers(MINIMUM_FRESH, 300), st.integers(0, 200), st.sampled_from(["auto", "site", "bundle"]))
def test_no_image_does_two_jobs_that_exclude_each_other(fresh: int, seen: int, choice: str) -> None:
    images, learned = survey(fresh, seen)
    try:
        jobs = assign_jobs(images, learned, choice)  # type: ignore[arg-type]
    except ImageError:
        assert choice == "site"
        assert fresh < SITE_FROM
        return
    center, weights, threshold = ({digest for _, digest in job} for job in (jobs.center, jobs.weights, jobs.threshold))
    assert not (weights | threshold) & learned
    assert not center & (weights | threshold)
    assert len(threshold) >= MINIMUM_FRESH
    assert bool(weights & threshold) == (not jobs.exact)
    assert jobs.passed_over == (seen if not center & learned else 0)
    if choice == "bundle":
        assert not center


def test_training_images_set_c_where_most_of_them_are_here() -> None:
    images, learned = survey(fresh=EXACT_FROM, seen=160)
    jobs = assign_jobs(images, learned)
    assert {digest for _, digest in jobs.center} == learned
    assert jobs.exact


def test_another_site_sets_its_own_c() -> None:
    images, _ = survey(fresh=200, seen=0)
    jobs = assign_jobs(images, set(map(str, range(100))))
    assert (len(jobs.center), len(jobs.weights), len(jobs.threshold)) == (80, 24, 96)
    assert jobs.exact


def test_few_images_keep_the_bundles_c_and_say_approximate() -> None:
    images, _ = survey(fresh=20, seen=0)
    jobs = assign_jobs(images, set())
    assert (len(jobs.center), len(jobs.weights), len(jobs.threshold)) == (0, 20, 20)
    assert not jobs.exact


@pytest.mark.parametrize("fresh", range(MINIMUM_FRESH))
def test_too_few_images_say_how_many(fresh: int) -> None:
    images, learned = survey(fresh, seen=30)
    with pytest.raises(ImageError, match=rf"needs at least 5 .* found {fresh} \(30 more were trained on\)"):
        assign_jobs(images, learned)
