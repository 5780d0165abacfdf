"""Who is told how the building of a plan goes: it takes minutes, and somebody waits."""

from __future__ import annotations

import threading

from rich.console import Console


class BuildObserver:
    """This one is silent and never ends a build; a command overrides what it wants to know."""

    def say(self, text: str) -> None:
        """One line for people: what is done, and why."""

    def step(self, phase: str, done: int, total: int) -> None:
        """The outermost phase TensorRT is in; called from within TensorRT, so it must be quick."""

    def stopped(self) -> bool:
        """True ends the build at its next step."""
        return False


class ConsoleObserver(BuildObserver):
    """Writes the lines to ``console``; a set ``stop`` ends the build."""

    def __init__(self, console: Console, stop: threading.Event | None = None) -> None:
        self._console, self._stop = console, stop

    def say(self, text: str) -> None:
        self._console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)

    def stopped(self) -> bool:
        return self._stop is not None and self._stop.is_set()
