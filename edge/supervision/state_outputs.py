"""The lines that tell the machine how the inspection stands: ready, fault, ok, stop."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edge.line.output_lines import OutputLines
from edge.line.shadow import STAYS_OFF
from edge.supervision.line_states import Transition
from edge.supervision.states import OUTPUTS, Outputs, State
from edge.verdict import Outcome


class StateOutputs:
    """Drives them for each change of state, which it then hands to ``told``. Any thread; raises LineError where one is not driven.

    lines: None where no line is driven at all. shadow: ``ready`` and ``ok`` stay off. The conveyor runs from when everything is
    open until the end, unless ``stop_line`` was called; that lasts until ``let_go``, when a person has looked.
    """

    def __init__(self, lines: OutputLines | None, shadow: bool, told: Callable[[Transition], None]) -> None:
        self._lines, self._off, self._told = lines, STAYS_OFF if shadow else frozenset[str](), told
        self._outputs: Outputs = OUTPUTS[State.STARTING]
        self._good = self._stopped = False
        self._open = False
        self._one = threading.Lock()

    def __call__(self, change: Transition) -> None:
        """``change`` happened."""
        self._outputs = OUTPUTS[change.after]
        try:
            self._set("ready", self._outputs.ready)
            self._set("fault", self._outputs.fault)
            self._drive_ok()
            self._open = change.after not in (State.STARTING, State.STOPPED)
            self._drive_stop()
        finally:
            self._told(change)

    def judged(self, outcome: Outcome) -> None:
        """A part was judged."""
        self._good = outcome is Outcome.PASS
        self._drive_ok()

    def stop_line(self) -> None:
        """A bad part may have gone on: the conveyor must stand."""
        self._stopped = True
        self._drive_stop()

    def let_go(self) -> None:
        """A person has looked: the conveyor may run."""
        self._stopped = False
        self._drive_stop()

    def _drive_stop(self) -> None:
        with self._one:  # what another thread found out before the line was stopped must not be said after it
            self._set("stop", self._stopped or not self._open)

    def _drive_ok(self) -> None:
        with self._one:  # nor that a part was good, after a fault
            self._set("ok", self._outputs.ok and self._good)

    def _set(self, name: str, value: bool) -> None:
        if self._lines is not None and name not in self._off:
            self._lines.set(name, value)
