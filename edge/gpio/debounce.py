"""Debounce without the kernel's help: an edge counts once the level has stood still. Pure logic over times handed in."""

from __future__ import annotations

from edge.gpio.input_lines import Edge


class Debounce:
    """Of one line, as the kernel's: a level that lasts ``period_ns`` is one, and began with its last edge.

    level: the logical value at the start.
    """

    def __init__(self, period_ns: int, level: bool) -> None:
        self._period_ns = period_ns
        self._level = level
        self._moving: Edge | None = None
        self._missed = 0

    def edge(self, edge: Edge) -> list[Edge]:
        """Take one raw edge; returns what has settled before it."""
        settled = self.settled(edge.at_ns)
        self._missed += edge.missed
        self._moving = edge
        return settled

    def settled(self, now_ns: int) -> list[Edge]:
        """The change that has stood still until ``now_ns``, told once; [] where there is none. Read all edges before asking."""
        moving = self._moving
        if moving is None or now_ns - moving.at_ns < self._period_ns:
            return []
        self._moving = None
        if moving.rising == self._level:
            return []
        self._level = moving.rising
        missed, self._missed = self._missed, 0
        return [Edge(moving.line, moving.at_ns, moving.rising, missed)]

    def due_ns(self) -> int | None:
        """When ``settled`` may tell something by itself; None while the line stands still."""
        return None if self._moving is None else self._moving.at_ns + self._period_ns
