"""What a shift came to: each part once, whenever one looks."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.clock import ManualClock
from edge.errors import RecordsError
from edge.line.part_tracker import Action, Part
from edge.page.shift_counts import ShiftCounts, shift_start
from edge.records.part_records import FILE, PartRecords
from edge.records.record_query import RecordQuery
from edge.records.records_config import RecordsConfig
from edge.verdict import Outcome, Verdict

STARTS = ["06:00", "14:00", "22:00"]


@pytest.mark.parametrize(
    ("now", "began"),
    [
        ("2026-11-24T06:00", "2026-11-24T06:00"),
        ("2026-11-24T13:59", "2026-11-24T06:00"),
        ("2026-11-24T23:10", "2026-11-24T22:00"),
        ("2026-11-24T05:59", "2026-11-23T22:00"),
    ],
)
def test_when_a_shift_began(now: str, began: str) -> None:
    assert shift_start(datetime.fromisoformat(now), STARTS) == datetime.fromisoformat(began)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)), st.integers(0, 1439))
def test_a_single_shift_lasts_a_day(now: datetime, minute: int) -> None:
    start = shift_start(now, [f"{minute // 60:02d}:{minute % 60:02d}"])
    assert timedelta(0) <= now - start < timedelta(days=1)


def verdict(part_id: int, outcome: Outcome, wall_ns: int) -> Verdict:
    return Verdict(part_id, outcome, "", "test", 1, None, 2, wall_ns, None, 1.0, 1)


steps = st.lists(
    st.one_of(
        st.just(("accept",)),
        st.tuples(st.just("decide"), st.integers(0, 9), st.sampled_from(list(Outcome))),
        st.tuples(st.just("finish"), st.integers(0, 9)),
        st.just(("look",)),
        st.just(("time",)),
    ),
    max_size=40,
)


@given(steps)
def test_looking_on_the_way_gives_what_counting_all_gives(events: list[tuple[object, ...]]) -> None:
    clock = ManualClock()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        records = PartRecords(folder, RecordsConfig(), clock, lambda _: None)
        since_ns = clock.wall_ns() + 3_000_000_000
        counts = ShiftCounts(folder / FILE, since_ns)
        open_parts: list[int] = []
        decided: dict[int, Outcome] = {}
        next_id = 0
        for event in [*events, ("look",)]:
            if event[0] == "accept":
                records.accepted(Part(next_id, 1, 2, None, None, None))
                open_parts.append(next_id)
                next_id += 1
            elif event[0] == "time":
                clock.advance_ms(1000)
            elif event[0] == "look":
                assert records.flush(10)
                shift = RecordQuery(folder / FILE).shift(since_ns, 2**62)
                expected = {one.value: shift.outcomes.get(one.value, 0) for one in Outcome}
                assert counts.outcomes() == {**expected, "in_flight": shift.outcomes.get("in flight", 0)}
            elif open_parts:
                part_id = open_parts[int(str(event[1])) % len(open_parts)]
                if event[0] == "decide":
                    assert isinstance(event[2], Outcome)
                    decided[part_id] = event[2]
                    records.decided(verdict(part_id, event[2], clock.wall_ns()), "fp32")
                else:
                    open_parts.remove(part_id)
                    records.finished(part_id, decided.get(part_id), "", Action.REJECTED)
        records.close()


def test_where_there_are_no_records_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match="cannot read the records"):
        ShiftCounts(tmp_path / FILE, 0).outcomes()
