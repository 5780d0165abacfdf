from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.drift.drift_detector import FIGURES, SCORES, SETTLE_PARTS, Cause, Drift, DriftMonitor
from edge.slots.slot_record import Baseline
from edge.verdict import Scores

IMAGES = 400
SPREAD = {"brightness": 0.02, "saturation": 0.02, "sharpness": 0.2}
CENTRE = {"brightness": 0.5, "saturation": 0.1, "sharpness": 2.0}


def good(random: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    """Figures of good parts: scores about 10 ± 1, pictures of the usual size."""
    return {name: random.normal(CENTRE.get(name, 10.0), SPREAD.get(name, 1.0), count) for name in FIGURES}


def baseline_of(figures: dict[str, np.ndarray]) -> dict[str, Baseline]:
    return {
        name: Baseline(
            mean=float(values.mean()), deviation=float(values.std()), low=float(values.min()), high=float(values.max()),
            quantiles=[float(one) for one in np.quantile(values, np.linspace(0, 1, 21))],
        )
        for name, values in figures.items()
    }  # fmt: skip


def scores(figures: dict[str, np.ndarray], part: int, **changes: float) -> Scores:
    return Scores(map_mean=0.0, **({name: float(figures[name][part]) for name in FIGURES} | changes))


class Line:
    """A monitor of a calibration with a threshold of 14, that is 4 deviations, and the parts it sees."""

    def __init__(self, seed: int = 0, usual_rejects: float = 0.0) -> None:
        self.random = np.random.default_rng(seed)
        self.monitor = DriftMonitor(baseline_of(good(self.random, IMAGES)), IMAGES, 14.0, 0.0075, usual_rejects)
        self.part = 0

    def run(self, parts: int, defects: float = 0.0, shift: dict[str, float] | None = None) -> list[Drift | None]:
        """shift: figure → deviations."""
        figures = good(self.random, parts)
        for name, deviations in (shift or {}).items():
            figures[name] += deviations * SPREAD.get(name, 1.0)
        bad = self.random.random(parts) < defects
        for name in SCORES:
            figures[name][bad] += 30.0
        figures["brightness"][bad] += 0.2  # a missing component shows the bright ground
        seen = []
        for part in range(parts):
            self.monitor.add(scores(figures, part), self.part)
            seen.append(self.monitor.drift())
            self.part += 1
        return seen


def causes(seen: list[Drift | None]) -> set[Cause]:
    return {one.cause for one in seen if one is not None}


def test_good_parts_are_no_drift() -> None:
    assert not causes(Line().run(5000))


@pytest.mark.parametrize(
    ("shift", "cause", "recalibrate"),
    [
        (dict.fromkeys(FIGURES, 2.0), Cause.LIGHT, True),
        (dict.fromkeys(FIGURES, -2.0), Cause.LIGHT, True),
        ({"brightness": -3.0}, Cause.LIGHT, False),
        (dict.fromkeys((*SCORES, "sharpness"), 2.0), Cause.CAMERA, True),
        (dict.fromkeys(SCORES, 1.0), Cause.PARTS, True),
    ],
)
def test_what_moved_says_what_changed(shift: dict[str, float], cause: Cause, recalibrate: bool) -> None:
    line = Line()
    assert not causes(line.run(500))
    drift = line.run(600, shift=shift)[-1]
    assert drift is not None
    assert (drift.cause, drift.recalibrate) == (cause, recalibrate)
    assert set(drift.moved) == set(shift)
    assert abs(drift.since - 500) < 30
    for name, (now, before) in drift.moved.items():
        assert (now > before) == (shift[name] > 0)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3])
def test_more_defects_are_no_drift_though_they_look_extreme(share: float) -> None:
    line = Line()
    line.run(500)
    seen = line.run(3000, defects=share)
    assert causes(seen) == {Cause.DEFECTS}
    drift = seen[-1]
    assert drift is not None
    assert not drift.recalibrate
    assert drift.rejected == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("defects", [0.1, 0.4])
def test_defects_hide_no_drift(defects: float) -> None:
    line = Line()
    line.run(500)
    drift = line.run(1000, defects=defects, shift=dict.fromkeys(FIGURES, 2.0))[-1]
    assert drift is not None
    assert drift.cause is Cause.LIGHT
    assert drift.rejected is not None


def test_light_so_bad_that_every_part_is_rejected_is_never_called_defects() -> None:
    line = Line()
    line.run(500)
    seen = line.run(1000, shift=dict.fromkeys(FIGURES, 20.0))
    assert causes(seen) == {Cause.LIGHT}
    assert next(i for i, one in enumerate(seen) if one is not None) < SETTLE_PARTS


def test_a_usual_share_of_rejects_is_no_news() -> None:
    assert causes(Line().run(4000, defects=0.04)) == {Cause.DEFECTS}
    assert not causes(Line(usual_rejects=0.05).run(4000, defects=0.04))


def test_a_drift_that_ends_is_over_within_minutes_however_long_it_was() -> None:
    line = Line()
    assert line.run(20_000, shift={"score": 2.0})[-1] is not None
    after = line.run(1000)
    assert after[-1] is None
    assert causes(after) == {Cause.PARTS}  # and what it rejected is not called defects once it is over


def test_a_small_baseline_tells_only_what_it_can() -> None:
    random = np.random.default_rng(0)
    figures = good(random, 20)
    monitor = DriftMonitor(baseline_of(figures), 20, 1e9, 0.14)
    for part in range(3000):
        monitor.add(scores(good(random, 1), 0), part)
    assert monitor.drift() is None


wild = st.one_of(st.floats(), st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324]))
wild_scores = st.builds(Scores, *[wild] * 7)


@given(
    st.lists(wild_scores, max_size=60),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=21, max_size=21),
    wild,
    st.floats(1e-9, 1),
    st.integers(0, 10**6),
)
def test_no_figure_of_any_part_or_baseline_makes_it_raise(
    parts: list[Scores], quantiles: list[float], threshold: float, promised: float, images: int
) -> None:
    one = Baseline(mean=0, deviation=0, low=0, high=0, quantiles=sorted(quantiles))
    monitor = DriftMonitor(dict.fromkeys(FIGURES, one), images, threshold, promised)
    for part, given_scores in enumerate(parts * 5):
        monitor.add(given_scores, part)
        found = monitor.drift()
        assert found is None or found.cause in Cause


def test_constant_figures_are_not_watched_unless_light_has_a_scale_of_its_own() -> None:
    constant = Baseline(mean=0, deviation=0, low=0, high=0, quantiles=[0.0] * 21)
    monitor = DriftMonitor(dict.fromkeys(FIGURES, constant), 100, 1.0, 0.01)
    assert monitor.watched == ("brightness", "saturation")
    for part in range(500):
        monitor.add(Scores(*[0.0] * 7), part)
    assert monitor.drift() is None
    for part in range(500):
        monitor.add(Scores(*[0.0] * 5, 0.3, 0.0), part)
    drift = monitor.drift()
    assert drift is not None
    assert drift.cause is Cause.LIGHT


@given(st.sampled_from([0.125, 2.0, 1024.0]), st.integers(-100, 100), st.sampled_from([0.0, 1.0, -2.0]))
def test_another_unit_of_a_score_and_its_baseline_change_nothing(unit: float, zero: int, shift: float) -> None:
    random = np.random.default_rng(1)
    sample, parts = good(random, IMAGES), good(random, 200)
    sample = {name: np.round(values * 1024) for name, values in sample.items()}  # whole, so that floating point is exact
    parts = {name: np.round(values * 1024) + shift * 1024 * SPREAD.get(name, 1.0) for name, values in parts.items()}

    def told(units: dict[str, float], zeros: dict[str, float]) -> list[tuple[Cause, int] | None]:
        def move(figures: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {name: values * units.get(name, 1.0) + zeros.get(name, 0.0) for name, values in figures.items()}

        own, baseline = move(parts), baseline_of(move(sample))
        monitor = DriftMonitor(baseline, IMAGES, 14 * 1024 * units.get("score", 1.0) + zeros.get("score", 0.0), 0.0075)
        seen = []
        for part in range(200):
            monitor.add(scores(own, part), part)
            drift = monitor.drift()
            seen.append(None if drift is None else (drift.cause, drift.since))
        return seen

    assert told(dict.fromkeys(SCORES, unit), dict.fromkeys(SCORES, float(zero))) == told({}, {})


def test_the_same_parts_give_the_same_answer_and_plain_values() -> None:
    first, second = (Line(3).run(800, shift={"score": 1.5}) for _ in range(2))
    assert first == second
    assert first[-1] is not None
    assert set(asdict(first[-1])) == {"cause", "since", "moved", "rejected", "recalibrate"}
