"""A plant that runs in the test's process, on a thread with a loop of its own, over records that the test writes."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from typing import Any

from edge.clock import SystemClock
from edge.line.part_tracker import Action
from edge.live.live_status import MAGIC, STATUS, LiveProduct, LiveStatus, StageTimes
from edge.live.live_status import SOCKET as LIVE
from edge.live.message import packed
from edge.live.newest_server import Answer, NewestServer
from edge.plant.keep_running import Weaknesses
from edge.plant.part_result import PartResult
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
        self.status: LiveStatus | None = None
        self._answers: NewestServer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def inspect(self, count: int) -> None:
        """So many parts more, from trigger to arm."""
        first = self.records.next_part_id
        self.records.next_part_id += count
        for part_id in range(first, first + count):
            outcome = OUTCOMES[part_id % 4]
            reason = "" if outcome is Outcome.PASS else "score 2.5"
            scores = Scores(0.25, 0.125, 0.5, 0.1, 0.5, 0.0, 1.0) if outcome is not Outcome.FAULT else None
            verdict = Verdict(
                part_id, outcome, reason, f"camera#{part_id}", 1, 2, 3, 1_700_000_000_000_000_000 + part_id, scores, 2.0, 3
            )
            self.records.decided(verdict, "fp32")
            action = Action.PASSED if outcome is Outcome.PASS else Action.REJECTED
            self.records.finished(part_id, outcome, reason, action, None)
        assert self.records.flush(30)

    def answer(self, status: LiveStatus) -> None:
        """As an inspection beside the plant does."""
        self.status = status
        if self._answers is None:
            asked = count()

            def newest() -> Answer:
                assert self.status is not None
                return Answer(next(asked), [packed(MAGIC, self.status.model_dump_json())])

            self._answers = NewestServer(self.state / LIVE, {STATUS: newest}, SystemClock())

    def silence(self) -> None:
        """The inspection is gone."""
        if self._answers is not None:
            self._answers.close()
            self._answers = None

    def start(self, config: PlantConfig) -> Plant:
        """From now on it is told by ``config``."""
        plant = Plant(config, self.state, 0, Weaknesses(self.told.append, self.said.append), SystemClock())
        started = threading.Event()

        async def run() -> None:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            started.set()
            await plant.run()

        def thread() -> None:
            with suppress(asyncio.CancelledError):
                asyncio.run(run())

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

    def waiting(self, protocol: str) -> int:
        """Parts that it has not told yet, as its file has it."""
        file = self.state / "plant" / f"{protocol}.sqlite"
        told = -1
        if file.is_file():
            with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection, suppress(sqlite3.OperationalError):
                told = connection.execute("SELECT part_id FROM told").fetchone()[0]
        return self.records.next_part_id - 1 - told

    def weakness(self, what: str) -> str:
        return self.told[-1].get(what, "") if self.told else ""

    def close(self) -> None:
        self.stop()
        self.silence()
        self.records.close()


def part_result(part_id: int, records_id: str = "00ff", **changes: Any) -> PartResult:
    given: dict[str, Any] = {
        "key": f"{records_id}-{part_id}-1700000000000000000", "part_id": part_id, "time": "2023-11-14T22:13:20.000000Z",
        "outcome": "PASS", "reason": "", "action": "passed", "late_ms": None, "score": 0.5, "threshold": 2.0, "feature_score": 0.25,
        "reconstruction_score": 0.125, "calibration_serial": 3, "precision": "fp32", "recipe": "", "source": "camera#1",
        "gap": None,
    }  # fmt: skip
    return PartResult(**given | changes)


def status(**changes: Any) -> LiveStatus:
    product = LiveProduct(
        recipe="lid", model_id="m", precision="fp32", runtime="onnxruntime", calibration_serial=3, threshold=2.0, promise="5 %"
    )
    given: dict[str, Any] = {
        "version": "1", "started_wall_ns": 1, "wall_ns": 1_700_000_000_000_000_000, "number": 9, "state": "running", "faults": {},
        "weaknesses": {}, "camera": "camera", "lines": "", "shadow": False, "product": product,
        "outcomes": {"PASS": 7, "REJECT": 1, "FAULT": 1}, "triggers": {"accepted": 9, "double": 1}, "lost": {"records": 0},
        "stages": {"engine": StageTimes(counts=[0] * 3 + [9] + [0] * 12, total_ms=72.0)}, "drift": "",
        "drift_figures": {"brightness": (0.5, 0.4)}, "temperatures": {"cpu": 51.5}, "settings": "a1b2c3d4" + "0" * 56,
        "verdict": None,
    }  # fmt: skip
    return LiveStatus(**given | changes)
