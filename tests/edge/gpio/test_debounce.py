from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.gpio.debounce import Debounce
from edge.gpio.input_lines import Edge

PERIOD = 10


def settled_by_definition(edges: list[Edge], level: bool) -> list[tuple[int, bool]]:
    """Changes to a level that then lasted for PERIOD; the last one lasts for ever."""
    found = []
    for index, edge in enumerate(edges):
        end = edges[index + 1].at_ns if index + 1 < len(edges) else edge.at_ns + PERIOD
        if end - edge.at_ns >= PERIOD and edge.rising != level:
            level = edge.rising
            found.append((edge.at_ns, level))
    return found


@given(gaps=st.lists(st.integers(1, 25), max_size=40), level=st.booleans(), asked=st.lists(st.integers(0, 1000), max_size=10))
def test_a_level_counts_when_it_lasts(gaps: list[int], level: bool, asked: list[int]) -> None:
    edges, at, value = [], 0, level
    for gap in gaps:
        at, value = at + gap, not value
        edges.append(Edge("eye", at, value))
    debounce, told = Debounce(PERIOD, level), []
    for index, edge in enumerate(edges):
        told += debounce.edge(edge)
        until = edges[index + 1].at_ns if index + 1 < len(edges) else edge.at_ns
        for time in sorted(asked):
            if edge.at_ns <= time < until:
                told += debounce.settled(time)
    due = debounce.due_ns()
    if due is not None:
        assert debounce.settled(due - 1) == []
        told += debounce.settled(due)
    assert [(edge.at_ns, edge.rising) for edge in told] == settled_by_definition(edges, level)
    assert debounce.due_ns() is None


def test_lost_edges_are_told_with_the_next_change() -> None:
    debounce = Debounce(PERIOD, False)
    debounce.edge(Edge("eye", 0, True, 2))
    debounce.edge(Edge("eye", 5, False, 1))
    debounce.edge(Edge("eye", 6, True, 0))
    (edge,) = debounce.settled(16)
    assert (edge.at_ns, edge.missed) == (6, 3)
