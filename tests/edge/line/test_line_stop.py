from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.line.line_stop import LineStop
from edge.line.part_tracker import Action, Finished, Part
from edge.line.reject_confirm import Confirm, Confirmation
from edge.verdict import Outcome


def left(part_id: int, action: Action) -> Finished:
    outcome = Outcome.PASS if action is Action.PASSED else Outcome.REJECT
    return Finished(Part(part_id, 0, 0, None, 0, 0, outcome), action)


@given(actions=st.lists(st.sampled_from([Action.PASSED, Action.REJECTED, Action.UNKNOWN]), max_size=30), most=st.integers(2, 5))
def test_so_many_rejects_in_a_row_stop_the_line(actions: list[Action], most: int) -> None:
    stop = LineStop(most, 1)
    for index, action in enumerate(actions):
        stop.finished(left(index, action))
        known = [one for one in actions[: index + 1] if one is not Action.UNKNOWN]
        runs = [len(list(group)) for value, group in itertools.groupby(known) if value is Action.REJECTED]
        assert stop.stopped is (max(runs, default=0) >= most)


def test_a_bad_part_that_may_have_gone_on_stops_it_at_once_and_the_first_reason_stays() -> None:
    stop = LineStop(None, 1)
    stop.finished(left(4, Action.LATE))
    stop.confirmed(Confirmation(5, Confirm.NOT_CONFIRMED, 0))
    assert stop.stopped
    assert stop.reason == "part 4 is not good and may have gone on: the reject line came too late"
    stop.finished(left(6, Action.PASSED))
    assert stop.stopped


@pytest.mark.parametrize(("most", "stops_after"), [(1, 1), (2, 4)])
def test_rejects_that_are_not_confirmed_stop_it(most: int, stops_after: int) -> None:
    stop = LineStop(None, most)
    told = [Confirm.NOT_CONFIRMED, Confirm.CONFIRMED, Confirm.NOT_CONFIRMED, Confirm.NOT_CONFIRMED, Confirm.CONFIRMED]
    seen = []
    for index, confirm in enumerate(told):
        stop.confirmed(Confirmation(index, confirm, 0))
        stop.confirmed(Confirmation(None, Confirm.UNEXPECTED, 0))
        seen.append(stop.stopped)
    assert seen.index(True) + 1 == stops_after


def test_any_number_of_rejects_may_follow_where_none_is_named() -> None:
    stop = LineStop(None, 1)
    for index in range(100):
        stop.finished(left(index, Action.REJECTED))
    assert not stop.stopped
