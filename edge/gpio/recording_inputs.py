"""A stand-in for inputs that plays a script; chosen by name only, and announced."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from edge.clock import Clock
from edge.gpio.input_lines import Edge, InputLines

MOST_AT_ONCE = 256
CAPACITY = 1024


class RecordingInputs(InputLines):
    """``script`` holds the edges to come, in time's order; it is read as it plays and may be endless. ``play`` adds edges at once.

    Like the kernel it keeps 1024 played edges; older ones are dropped, and counted in the next one of their line.
    only: lines of which rising (True) or falling (False) edges alone are wanted.
    """

    def __init__(
        self, names: Iterable[str], clock: Clock, script: Iterable[Edge] = (), only: Mapping[str, bool] | None = None
    ) -> None:
        self._lines = tuple(names)
        super().__init__(tuple(f"{name} input (recording)" for name in self._lines))
        self._clock, self._only = clock, dict(only or {})
        self._script: Iterator[Edge] = iter(script)
        self._next = next(self._script, None)
        self._lock = threading.Lock()
        self._played: deque[Edge] = deque()
        self._dropped = dict.fromkeys(self._lines, 0)
        self._wake = threading.Event()
        self._levels = dict.fromkeys(self._lines, False)
        self.released = False

    def play(self, *edges: Edge) -> None:
        """Let ``edges`` happen now; from any thread."""
        with self._lock:
            for edge in edges:
                self._levels[edge.line] = edge.rising
                if self._only.get(edge.line, edge.rising) != edge.rising:
                    continue
                if len(self._played) >= CAPACITY:
                    oldest = self._played.popleft()
                    self._dropped[oldest.line] += 1 + oldest.missed
                self._played.append(edge)
            self._wake.set()

    def _wait_impl(self, timeout_s: float) -> list[Edge]:
        end_ns = self._clock.monotonic_ns() + round(timeout_s * 1e9)
        while True:
            self._wake.clear()
            edges = self._take()
            now = self._clock.monotonic_ns()
            if edges or now >= end_ns:
                return edges
            due = end_ns if self._next is None else min(end_ns, self._next.at_ns)
            self._clock.wait(self._wake, due - now)

    def _take(self) -> list[Edge]:
        now = self._clock.monotonic_ns()
        edges: list[Edge] = []
        while self._next is not None and self._next.at_ns <= now and len(edges) < MOST_AT_ONCE:
            self._levels[self._next.line] = self._next.rising
            if self._only.get(self._next.line, self._next.rising) == self._next.rising:
                edges.append(self._next)
            self._next = next(self._script, None)
        with self._lock:
            while self._played and len(edges) < MOST_AT_ONCE:
                edge = self._played.popleft()
                missed = self._dropped[edge.line] + edge.missed
                self._dropped[edge.line] = 0
                edges.append(Edge(edge.line, edge.at_ns, edge.rising, missed))
        edges.sort(key=lambda edge: edge.at_ns)
        return edges

    def _levels_impl(self) -> Mapping[str, bool]:
        return dict(self._levels)

    def _close_impl(self) -> None:
        self.released = True


def parts_passing(line: str, start_ns: int, pitch_ms: float) -> Iterator[Edge]:
    """A made-up part every ``pitch_ms``, in the beam for a third of that, without end."""
    pitch_ns = round(pitch_ms * 1e6)
    for index in itertools.count(1):
        yield Edge(line, start_ns + index * pitch_ns, True)
        yield Edge(line, start_ns + index * pitch_ns + pitch_ns // 3, False)
