"""The benchmark's end of an engine that runs in a process of its own: ask, wait with a limit, and end it whatever it does."""

from __future__ import annotations

import multiprocessing
import time
from types import TracebackType
from typing import Any

from edge.errors import EngineError
from tools.benchmark.board_power import BoardPower
from tools.benchmark.engine_worker import Task, work

OPEN_S = 3600.0
"""A TensorRT plan may have to be built first."""
ANSWER_S = 900.0
SAMPLE_S = 0.05


class EngineProcess:
    """``task``'s engine; every method raises EngineError where the process fails, dies or does not answer in time."""

    def __init__(self, task: Task, power: BoardPower | None = None) -> None:
        context = multiprocessing.get_context("spawn")  # nothing of this process is in its memory
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs, task), daemon=True)
        self._process.start()
        theirs.close()
        self._power, self._name = power, f"{task.precision} on {task.choice}"
        self.watts: list[float] = []
        try:
            self.opened: dict[str, Any] = self._answer(OPEN_S)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int | None:
        """Of the process."""
        return self._process.pid

    def ask(self, question: str, *arguments: object, limit_s: float = ANSWER_S) -> Any:
        """The answer of ``engine_worker`` to ``question``; during a "round" the board's power is added to ``watts``."""
        try:
            self._connection.send((question, *arguments))
        except OSError as error:
            raise self._ended() from error
        return self._answer(limit_s, self._power if question == "round" else None)

    def close(self) -> None:
        """End the process; may be called twice."""
        self._connection.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def __enter__(self) -> EngineProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _answer(self, limit_s: float, power: BoardPower | None = None) -> Any:
        end = time.monotonic() + limit_s
        while not self._connection.poll(SAMPLE_S):
            if power is not None and (watts := power.watts()) is not None:
                self.watts.append(watts)
            if time.monotonic() > end:
                self._process.kill()
                raise EngineError(f"{self._name}: expected an answer within {limit_s:.0f} s, none came; the process was ended")
        try:
            kind, answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._ended() from error
        if kind == "error":
            raise EngineError(f"{self._name}: {answer}")
        return answer

    def _ended(self) -> EngineError:
        self._process.join(5)
        return EngineError(f"{self._name}: its process ended with code {self._process.exitcode}; is there enough memory?")
