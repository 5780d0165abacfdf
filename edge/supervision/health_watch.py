"""Looks twice a second at what is not part of any picture: clocks, heat, memory, disks, heartbeat, announcements."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType

from edge.clock import Clock
from edge.errors import LineError
from edge.supervision.line_states import LineStates
from edge.supervision.machine_health import Clocks, Instant, SystemTree

LOOK_NS = 500_000_000
GAP_NS = 5_000_000_000
HEAT_EVERY = 20
"""Looks between two at heat and memory, which are files."""
CLOSE_S = 2.0


class HealthWatch:
    """A thread, while entered.

    fault_all: makes every part in flight a FAULT. say: one line for people. weaknesses: name → why it is not as it should be now,
    or empty. also: is called at each look.
    """

    def __init__(
        self,
        states: LineStates,
        fault_all: Callable[[str], None],
        say: Callable[[str], None],
        weaknesses: Callable[[], Mapping[str, str]],
        also: Callable[[], None],
        clock: Clock,
        tree: SystemTree | None = None,
    ) -> None:
        self._states, self._fault_all, self._say, self._also, self._clock = states, fault_all, say, also, clock
        tree = tree or SystemTree()
        self._seldom = {"heat": tree.throttled, "memory": tree.short_of_memory}
        self._weaknesses = weaknesses
        self._clocks = Clocks(Instant.now(), GAP_NS)
        self._looks = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="health", daemon=True)

    def look(self, now: Instant) -> None:
        """Once."""
        news = self._clocks.look(now)
        if news.step:
            self._say(f"{news.step}; times in records are of the new one from here on")
        if news.fault:
            self._say(f"{news.fault}: every part in flight is a FAULT")
            with suppress(LineError):  # the line's own failure ends the run
                self._fault_all(news.fault)
        found = dict(self._weaknesses())
        if self._looks % HEAT_EVERY == 0:
            found |= {what: check() for what, check in self._seldom.items()}
        self._looks += 1
        for what, reason in found.items():
            if reason:
                self._states.weaken(what, reason)
            else:
                self._states.clear(what)
        self._also()

    def __enter__(self) -> HealthWatch:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(CLOSE_S)

    def _watch(self) -> None:
        while not self._clock.wait(self._stop, LOOK_NS):
            with suppress(Exception):  # a look that fails must not end the looking
                self.look(Instant.now())
