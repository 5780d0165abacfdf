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
def test_so_many_rejects_in_a_row_stop_the_line_and_as_many_again_the_next_time(actions: list[Action], most: int) -> None:
    stop = LineStop(most, 1)
    for index, action in enumerate(actions):
        reason = stop.finished(left(index, action))
        known = [one for one in actions[: index + 1] if one is not Action.UNKNOWN]
        row = len(list(itertools.takewhile(lambda one: one is Action.REJECTED, reversed(known))))
        assert bool(reason) is (action is Action.REJECTED and row % most == 0)
        assert not reason or f"part {index}" in reason


def test_each_bad_part_that_may_have_gone_on_stops_it_at_once() -> None:
    stop = LineStop(None, 2)
    assert stop.finished(left(4, Action.LATE)) == "part 4 is not good and may have gone on: the reject line came too late"
    assert stop.finished(left(5, Action.PASSED)) == ""
    assert "part 6" in stop.finished(left(6, Action.LATE))


@pytest.mark.parametrize(("most", "stops"), [(1, [0, 2, 3, 5]), (2, [3])])
def test_rejects_that_are_not_confirmed_stop_it(most: int, stops: list[int]) -> None:
    stop = LineStop(None, most)
    confirmed, missing = Confirm.CONFIRMED, Confirm.NOT_CONFIRMED
    seen = []
    for index, confirm in enumerate([missing, confirmed, missing, missing, confirmed, missing]):
        if reason := stop.confirmed(Confirmation(index, confirm, 0)):
            assert f"part {index} may have gone on" in reason
            seen.append(index)
        assert stop.confirmed(Confirmation(None, Confirm.UNEXPECTED, 0)) == ""
    assert seen == stops


def test_any_number_of_rejects_may_follow_where_none_is_named() -> None:
    stop = LineStop(None, 1)
    assert not any(stop.finished(left(index, Action.REJECTED)) for index in range(100))
