"""All outputs of the station: opened together with their safe values, driven by name, left safe together."""

from __future__ import annotations

import threading
from types import TracebackType

from edge.clock import Clock
from edge.errors import LineError
from edge.gpio.base import OutputLine
from edge.gpio.open_line import open_line
from edge.line.line_config import OUTPUTS, SAFE, LinesConfig

CLOSE_S = 3.0


class OutputLines:
    """The lines that ``config`` names, each at its safe value from here on; raises LineOpenError, and then holds none.

    Any thread may call ``set``. A line that ``take`` gave away belongs to who took it; ``close`` leaves it safe all the same.
    """

    def __init__(self, config: LinesConfig, clock: Clock) -> None:
        self._lines: dict[str, OutputLine] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._taken: set[str] = set()
        try:
            for name in OUTPUTS:
                line = open_line(name, getattr(config, name), SAFE[name], config.backend, clock)
                if line is not None:
                    self._lines[name], self._locks[name] = line, threading.Lock()
        except BaseException:
            self._close_all()
            raise

    def names(self) -> list[str]:
        """As people know them, in the order of the station file."""
        return [line.name for line in self._lines.values()]

    def has(self, name: str) -> bool:
        """Whether the station has this output."""
        return name in self._lines

    def set(self, name: str, value: bool) -> None:
        """Drive one of OUTPUTS; nothing where the station has none. Raises LineError; the other lines are as they were."""
        if name not in SAFE:
            raise ValueError(f"expected one of {', '.join(OUTPUTS)}, got {name!r}")
        if name in self._taken:
            raise LineError(f"{name}: is driven by its own keeper")
        line = self._lines.get(name)
        if line is None:
            return
        with self._locks[name]:
            if value != line.value:
                line.set(value)

    def take(self, name: str) -> OutputLine | None:
        """Give the line to one that drives it from a thread of its own; None where the station has none."""
        if name not in SAFE:
            raise ValueError(f"expected one of {', '.join(OUTPUTS)}, got {name!r}")
        self._taken.add(name)
        return self._lines.get(name)

    def close(self) -> None:
        """Every line safe and given back, each once; may be called twice.

        Raises LineError naming those where that failed, after all the others were closed.
        """
        if failed := self._close_all():
            raise LineError("; ".join(failed))

    def _close_all(self) -> list[str]:
        failed = []
        for name, line in self._lines.items():
            lock = self._locks[name]
            if not lock.acquire(timeout=CLOSE_S):
                failed.append(f"{line.name}: its driver blocks; its level is unknown until the process ends: stop the line")
                continue
            try:
                line.close()
            except Exception as error:  # whatever a driver throws, the next line is made safe
                failed.append(str(error) if isinstance(error, LineError) else f"{line.name}: {error}")
            finally:
                lock.release()
        return failed

    def __enter__(self) -> OutputLines:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
