"""The sensor behind the arm, on a thread of its own: did each rejected part leave the line?"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable

from edge.clock import Clock
from edge.errors import LineError
from edge.gpio.input_lines import InputLines
from edge.line.line_config import RejectConfirmConfig
from edge.line.reject_confirm import Confirmation, RejectConfirm

SENSOR = "confirm"
WAIT_S = 0.1
CLOSE_S = 3.0
MS = 1_000_000


class ConfirmWatch:
    """told: gets what is known of each reject, and edges that belong to none; failed: why the sensor is trusted no more.

    Both from this object's thread; neither may block. known_after_ms: a pulse is told so long after its begin, when the part has
    left the arm. The sensor may well see the part before that, so an edge waits until the pulses before it are known.
    """

    def __init__(
        self,
        inputs: InputLines,
        config: RejectConfirmConfig,
        known_after_ms: int,
        told: Callable[[Confirmation], None],
        failed: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self._inputs, self._clock = inputs, clock
        self._rising = config.edge == "begin"
        self._lag_ns = known_after_ms * MS + round(WAIT_S * 1e9)
        self._edges: deque[int] = deque()
        self._confirm = RejectConfirm(round(config.from_ms * MS), round(config.to_ms * MS))
        self._told, self._failed = told, failed
        self._pulses: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
        self._stopping = False
        self._thread = threading.Thread(target=self._watch, name="reject confirm", daemon=True)
        self._thread.start()

    def pulse(self, part_id: int, begin_ns: int) -> None:
        """The arm takes a part out from ``begin_ns`` on; never blocks."""
        self._pulses.put((part_id, begin_ns))

    def close(self) -> None:
        """Stop, and give the sensor back; may be called twice."""
        self._stopping = True
        self._thread.join(CLOSE_S)
        self._inputs.close()

    def _settle(self, known_ns: int) -> None:
        """Everything before ``known_ns`` has been told by now: join edges and pulses up to there."""
        while not self._pulses.empty():
            self._confirm.pulse(*self._pulses.get())
        while self._edges and self._edges[0] < known_ns:
            self._confirm.edge(self._edges.popleft())
        self._confirm.expire(known_ns)
        for result in self._confirm.results():
            self._told(result)

    def _watch(self) -> None:
        try:
            while not self._stopping:
                self._edges.extend(edge.at_ns for edge in self._inputs.wait(WAIT_S) if edge.rising == self._rising)
                # An edge, too, is handed over a little after it happened: what is older than a whole wait is known not to come.
                self._settle(self._clock.monotonic_ns() - self._lag_ns)
        except Exception as error:  # whatever a driver throws: without the sensor no reject is confirmed
            self._failed(str(error) if isinstance(error, LineError) else f"unexpected {type(error).__name__}: {error}")
