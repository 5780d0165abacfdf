"""What watches over a run: its state for people and machines, the challenge part, heartbeat and watchdog."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from edge.clock import Clock
from edge.errors import LineError
from edge.line.guarded_line import GuardedLine
from edge.line.heartbeat_line import HeartbeatLine
from edge.line.output_lines import OutputLines
from edge.line.part_line import PartLine
from edge.records.keeping import Keeping
from edge.station_config import StationConfig
from edge.supervision.challenge import Challenge
from edge.supervision.challenge_announcement import ChallengeAnnouncement
from edge.supervision.line_states import LineStates, Transition
from edge.supervision.service_manager import ServiceManager
from edge.supervision.state_outputs import StateOutputs
from edge.supervision.stop_order import StopOrder, with_more
from edge.supervision.watchdog import Watchdog

HEARTBEAT_MS = 200
"""Period of the heartbeat line."""
CYCLE_SPARE_MS = 3000
"""How much longer than the longest wait for a picture a cycle may take, before the program is taken to hang."""
LINE_STOP = "line stop"
START_ANEW = "start edge-inspect anew"


class Oversight:
    """``states`` from the start; ``guard`` makes the rest, once there is a line. announce: one line for people, must not wait.

    order: None where nothing is kept; where one stands from a run before, the line is stopped from ``guard`` on, until its release.
    """

    def __init__(
        self,
        station: StationConfig,
        outputs: OutputLines | None,
        kept: Keeping,
        announce: Callable[[str], None],
        manager: ServiceManager,
        clock: Clock,
        order: StopOrder | None = None,
    ) -> None:
        self._station, self._outputs, self._kept, self._announce, self._order = station, outputs, kept, announce, order
        self._manager, self._clock = manager, clock
        self._lamps = StateOutputs(outputs, station.shadow, self._changed)
        self.states = LineStates(self._drive_lamps, clock)
        self._lost = ""
        self._stopping, self._stops, self._reason = threading.Lock(), 0, ""
        self.challenge = Challenge(station.challenge)

    def guard(self, parts: PartLine, state: Path, stack: ExitStack) -> GuardedLine:
        """The line as the states allow it; what needs closing is put on ``stack``. Raises LineOpenError."""
        station, clock = self._station, self._clock
        self._announcement = ChallengeAnnouncement(state)
        self.guarded = GuardedLine(parts, self.states, self._lamps, self.challenge, clock)
        longest_ms = max(station.camera.read_timeout_ms, station.timing.deadline_ms) + CYCLE_SPARE_MS
        line = self._outputs.take("heartbeat") if self._outputs is not None else None
        self._heartbeat = HeartbeatLine(line, HEARTBEAT_MS, longest_ms, clock)
        stack.callback(self._heartbeat.close)
        limit_ns = longest_ms * 1_000_000
        self.watchdog = Watchdog(limit_ns, self._late, lambda: self.states.clear("watchdog"), self._manager, clock)
        if self._order is not None and (reason := self._order.standing()):
            self._stop(reason)
        return self.guarded

    def stop_line(self, reason: str) -> None:
        """No part may go on, for ``reason``; only a person ends that. Any thread, also the reject line's own: raises nothing."""
        with self._stopping:
            if self._order is not None:
                self._order.give(reason)
            self._stop(reason)

    def line_lost(self, what: str, reason: str) -> None:
        """A line, in or out, is of no use any more; any thread. The run ends at the next beat: a chip that returns is another."""
        self._lost = self._lost or f"{what}: {reason}"
        with suppress(LineError):  # the outputs may be gone as well
            self.states.fail(what, reason)

    def beat(self) -> None:
        """As Watchdog.beat, for who listens on a line, too. Raises LineError where a line was lost: start anew to open it again.

        Not after ``stop_line``: a start anew by itself would let the conveyor run before a person has looked.
        """
        if self._lost and LINE_STOP not in self.states.faults:
            raise LineError(self._lost)
        self._heartbeat.beat()
        self.watchdog.beat()

    def look(self) -> None:
        """Once: what is to be seen beside the pictures."""
        if self._announcement.came():
            self.challenge.announce(self._clock.monotonic_ns())
            self._announce("the next part is the challenge part")
        if self._heartbeat.failure is not None:
            self.line_lost("heartbeat", str(self._heartbeat.failure))
        self._let_go_where_released()

    def precision(self, degraded: str) -> None:
        """What the engine stands in for and why; empty where it is as asked."""
        if degraded:
            self.states.weaken("precision", degraded)
        else:
            self.states.clear("precision")

    def _stop(self, reason: str) -> None:
        self._stops += 1
        with suppress(LineError):  # no output says stop any more: so much the more must no part pass
            self._lamps.stop_line()
        before, self._reason = self._reason, with_more(self._reason, reason)
        if before and self._reason != before:  # no change of state tells this one
            self._announce(f"{LINE_STOP}, too: {reason}")
        with suppress(LineError):
            remedy = START_ANEW if self._order is None else self._order.remedy
            self.states.fail(LINE_STOP, f"{self._reason}; look for it, then: {remedy}")

    def _let_go_where_released(self) -> None:
        seen = self._stops
        if self._order is None or not self._reason or not self._order.released():
            return
        with self._stopping:  # whoever stops the line waits for the outputs at most, never for the disk
            if self._stops == seen:
                self._reason = ""
                try:
                    self.states.clear(LINE_STOP)
                    self._lamps.let_go()
                except LineError as error:
                    self.line_lost("stop", str(error))

    def _drive_lamps(self, change: Transition) -> None:
        try:
            self._lamps(change)
        except LineError as error:  # the thread that caused the change may be any, and may not care
            self._lost = self._lost or str(error)
            raise

    def _changed(self, change: Transition) -> None:
        self._kept.audit("state", **change.record())
        self._manager.status(f"{change.after.value}: {change.reason}" if change.reason else change.after.value)
        if change.reason:
            self._announce(f"{change.before.value} → {change.after.value}: {change.reason}")

    def _late(self, reason: str) -> None:
        self.states.fail("watchdog", reason)
        self.guarded.fault_all(reason)
