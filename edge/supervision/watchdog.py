"""Watches that cycles complete: a loop that hangs has its lines put safe, and the service manager hears nothing more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from edge.clock import Clock
from edge.supervision.service_manager import ServiceManager

CLOSE_S = 2.0
LOOK_NS = 100_000_000


class Watchdog:
    """A thread that looks at the last ``beat``, while entered.

    limit_ns: the longest a cycle may take. late: puts lines safe; called from this thread when one took longer, again until it does
    not raise. back: called likewise when it beats again. manager: is told that all is well at half of the time it allows, and only
    after a beat since the last time. It begins with the first beat: a start may take its time.
    """

    def __init__(
        self,
        limit_ns: int,
        late: Callable[[str], None],
        back: Callable[[], None],
        manager: ServiceManager,
        clock: Clock,
    ) -> None:
        self._limit_ns, self._late, self._back = limit_ns, late, back
        self._manager, self._clock = manager, clock
        self._beat_ns: int | None = None
        self._told_beat_ns: int | None = None
        self._pinged_ns: int | None = None
        self._is_late = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def beat(self) -> None:
        """A cycle from capture to verdict is complete, or an idle wait came back in time. Any thread; never waits."""
        self._beat_ns = self._clock.monotonic_ns()

    @property
    def is_late(self) -> bool:
        """True from when the limit was passed until it beats again."""
        return self._is_late

    def look(self) -> None:
        """Once: put safe what is late, tell who waits to hear."""
        now, beat = self._clock.monotonic_ns(), self._beat_ns
        if beat is None:
            return
        late = now - beat > self._limit_ns
        if late and not self._is_late:
            # Where this raises, lines may not be safe yet: it is called again at the next look.
            self._late(f"no cycle was completed for {(now - beat) / 1e9:.1f} s, {self._limit_ns / 1e9:.1f} s are allowed")
            self._is_late = True
        elif not late and self._is_late:
            self._back()
            self._is_late = False
        if not late and beat != self._told_beat_ns and self._ping_due(now):
            self._told_beat_ns, self._pinged_ns = beat, now
            self._manager.alive()

    def close(self) -> None:
        """Stop watching; may be called twice."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)

    def __enter__(self) -> Watchdog:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _ping_due(self, now: int) -> bool:
        wanted = self._manager.watchdog_ns
        if wanted is None:
            return False
        return self._pinged_ns is None or now - self._pinged_ns >= wanted // 2 - LOOK_NS

    def _watch(self) -> None:
        while not self._clock.wait(self._stop, LOOK_NS):
            with suppress(Exception):  # a callback that fails must not end the watching
                self.look()
