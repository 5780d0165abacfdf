"""Encoder edges into counts. Pure."""

from __future__ import annotations

from edge.gpio.input_lines import Edge
from edge.triggers.base import ConveyorListener

A, B = "encoder A", "encoder B"


class Conveyor:
    """Where the conveyor is, in counts from 0: one a rising edge of A alone, four a period of A and B, signed.

    a, b: the tracks' values at the start; b is None without a second track. Of two tracks, an edge to the value that one has
    already means that the one between was lost, as do those that the kernel dropped.
    """

    def __init__(self, a: bool, b: bool | None, *, reverse: bool = False, listener: ConveyorListener | None = None) -> None:
        self.counts = 0
        self._a, self._b = a, b
        self._sign = -1 if reverse else 1
        self._listener = listener

    def edge(self, edge: Edge) -> None:
        """Take an edge of track A or B."""
        if edge.missed:
            self._lost(f"{edge.missed} encoder edges were lost")
        if self._b is None:
            self._move(int(edge.rising), edge.at_ns)
            return
        if edge.rising == (self._a if edge.line == A else self._b):
            if not edge.missed:
                self._lost(f"an edge of {edge.line} was lost")
            return
        # Forward is A before B: 00, 10, 11, 01.
        forward = edge.rising != self._b if edge.line == A else edge.rising == self._a
        if edge.line == A:
            self._a = edge.rising
        else:
            self._b = edge.rising
        self._move(self._sign if forward else -self._sign, edge.at_ns)

    def _move(self, step: int, at_ns: int) -> None:
        if step:
            self.counts += step
            if self._listener is not None:
                self._listener.moved(self.counts, at_ns)

    def _lost(self, reason: str) -> None:
        if self._listener is not None:
            self._listener.lost(reason)
