"""What viewers cost: the figures, and a short run of the real programs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("uvicorn")

from edge.bundle import open_bundle
from edge.slots.calibration_slot import SlotStore
from tools.benchmark import page_viewers
from tools.benchmark.page_viewers import PageViewers, measure_page_viewers

FIGURES = PageViewers(
    5, 60, [(1.0, 2.0), (3.0, 3.5), (2.0, 1.0)], [(1.0, 1.0)] * 3, 9.0, 8.0, 370, 370, 12, [60], {"deadline missed by … ms": 2}
)


def test_what_is_added_is_the_median_over_the_pairs() -> None:
    assert FIGURES.added_ms == 0.5
    assert FIGURES.failures == []
    assert replace(FIGURES, page_parts=369).failures == ["the page counted 369 of 370 parts"]


def test_a_short_run(calibrated_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_viewers, "SETTLE_S", 0.2)
    store = SlotStore(calibrated_dir.parent, open_bundle(calibrated_dir))
    found = measure_page_viewers(store, calibrated_dir.parent / "normal", 2, 2, 5, 0.1)
    assert found.failures == []
    assert found.page_parts == found.recorded > 0
    assert len(found.pairs) == len(found.cpu_pairs) == 2
    assert len(found.drawn) == 4
    assert found.pictures > 0
