"""A plant that runs in the test's process, on a thread with a loop of its own, over records that the test writes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from edge.clock import SystemClock
from edge.line.part_tracker import Action
from edge.plant.keep_running import Weaknesses
from edge.plant.plant_config import PlantConfig
from edge.plant.plant_server import Plant
from edge.records.part_records import FOLDER, PartRecords
from edge.records.records_config import RecordsConfig
from edge.verdict import Outcome, Scores, Verdict

OUTCOMES = (Outcome.PASS, Outcome.PASS, Outcome.REJECT, Outcome.FAULT)


class Scene:
    """``plant`` tells what ``inspect`` records."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.told: list[dict[str, str]] = []
        self.said: list[str] = []
        self.records = PartRecords(state / FOLDER, RecordsConfig(), SystemClock(), self.said.append)
        self._loop: asyncio.AbstractEventLoop | None = None

    def inspect(self, count: int) -> None:
        """So many parts more, from trigger to arm."""
        first = self.records.next_part_id
        self.records.next_part_id += count
        for part_id in range(first, first + count):
            outcome = OUTCOMES[part_id % 4]
            reason = "" if outcome is Outcome.PASS else "score 2.5"
            scores = Scores(0.25, 0.125, 0.5, 0.1, 0.5, 0.0, 1.0)
            verdict = Verdict(
                part_id, outcome, reason, f"camera#{part_id}", 1, 2, 3, 1_700_000_000_000_000_000 + part_id, scores, 2.0, 3
            )
            self.records.decided(verdict, "fp32")
            action = Action.PASSED if outcome is Outcome.PASS else Action.REJECTED
            self.records.finished(part_id, outcome, reason, action, None)
        assert self.records.flush(30)

    def start(self, config: PlantConfig) -> Plant:
        """From now on it is told by ``config``."""
        plant = Plant(config, self.state, 0, Weaknesses(self.told.append, self.said.append), SystemClock())
        started = threading.Event()

        async def run() -> None:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            started.set()
            await plant.run()

        def thread() -> None:
            try:
                asyncio.run(run())
            except asyncio.CancelledError:
                pass

        self._thread = threading.Thread(target=thread, daemon=True)
        self._thread.start()
        assert started.wait(10)
        return plant

    def stop(self) -> None:
        """The plant ends, as by SIGTERM."""
        if self._loop is not None and self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join(30)
            assert not self._thread.is_alive()
            self._loop = None

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        """In the plant's loop."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def weakness(self, what: str) -> str:
        return self.told[-1].get(what, "") if self.told else ""

    def close(self) -> None:
        self.stop()
        self.records.close()
