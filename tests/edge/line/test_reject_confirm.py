from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.line.reject_confirm import CAPACITY, Confirm, Confirmation, RejectConfirm

FROM, TO = 10, 50
CONFIRMED, NOT, UNEXPECTED = Confirm.CONFIRMED, Confirm.NOT_CONFIRMED, Confirm.UNEXPECTED


@pytest.mark.parametrize(
    ("edge", "expected"),
    [
        (9, [Confirmation(None, UNEXPECTED, 9), Confirmation(7, NOT, 1000)]),
        (10, [Confirmation(7, CONFIRMED, 10)]),
        (50, [Confirmation(7, CONFIRMED, 50)]),
        (51, [Confirmation(7, NOT, 51), Confirmation(None, UNEXPECTED, 51)]),
    ],
)
def test_an_edge_confirms_a_pulse_in_its_time(edge: int, expected: list[Confirmation]) -> None:
    confirm = RejectConfirm(FROM, TO)
    confirm.pulse(7, 0)
    assert confirm.next_change_ns() == 51
    confirm.edge(edge)
    confirm.expire(1000)
    assert confirm.results() == expected
    assert confirm.results() == []
    assert confirm.next_change_ns() is None


@pytest.mark.parametrize(("edges", "unconfirmed"), [([], [0, 1]), ([12], [1]), ([12, 33], [])])
def test_pulses_close_together_each_want_an_edge_of_their_own(edges: list[int], unconfirmed: list[int]) -> None:
    confirm = RejectConfirm(FROM, TO)
    confirm.pulse(0, 0)
    confirm.pulse(1, 20)
    for edge in edges:
        confirm.edge(edge)
    confirm.expire(1000)
    assert [one.part_id for one in confirm.results() if one.confirm is NOT] == unconfirmed


def most_pairs(pulses: list[int], edges: list[int]) -> int:
    """The most pulses that can have an edge each, by augmenting paths."""
    takes: dict[int, int] = {}

    def place(pulse: int, tried: set[int]) -> bool:
        for index, edge in enumerate(edges):
            if index not in tried and pulses[pulse] + FROM <= edge <= pulses[pulse] + TO:
                tried.add(index)
                if index not in takes or place(takes[index], tried):
                    takes[index] = pulse
                    return True
        return False

    return sum(place(pulse, set()) for pulse in range(len(pulses)))


@given(pulses=st.lists(st.integers(0, 300), max_size=20), edges=st.lists(st.integers(0, 400), max_size=25))
def test_as_many_pulses_are_confirmed_as_can_be_and_nothing_is_told_twice(pulses: list[int], edges: list[int]) -> None:
    pulses, edges = sorted(pulses), sorted(edges)
    confirm = RejectConfirm(FROM, TO)
    happen = [(at, 0, index) for index, at in enumerate(pulses)] + [(at, 1, index) for index, at in enumerate(edges)]
    for at, kind, index in sorted(happen):
        if kind:
            confirm.edge(at)
        else:
            confirm.pulse(index, at)
    confirm.expire(10_000)
    told = confirm.results()
    confirmed = [one for one in told if one.confirm is CONFIRMED]
    assert len(confirmed) == most_pairs(pulses, edges)
    assert sorted(one.part_id for one in told if one.part_id is not None) == list(range(len(pulses)))
    assert len(confirmed) + sum(one.confirm is UNEXPECTED for one in told) == len(edges)
    for one in confirmed:
        assert one.part_id is not None
        assert FROM <= one.at_ns - pulses[one.part_id] <= TO


def test_what_waits_is_bounded() -> None:
    confirm = RejectConfirm(0, 10**9)
    for index in range(CAPACITY + 1):
        confirm.pulse(index, index)
    assert confirm.results() == [Confirmation(0, NOT, CAPACITY)]


@pytest.mark.parametrize("times", [(5, 5), (-1, 5), (6, 5)])
def test_times_that_cannot_be_are_refused(times: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="expected 0 ≤ from < to"):
        RejectConfirm(*times)
