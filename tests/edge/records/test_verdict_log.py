from __future__ import annotations

import io
import json
import math
import threading

from edge.records.verdict_log import VerdictLog
from edge.verdict import Outcome, Scores, Verdict


def verdict(part: int, score: float = 1.0) -> Verdict:
    return Verdict(
        part_id=part, outcome=Outcome.PASS, reason="", source="x", trigger_ns=1, exposed_ns=None, decided_ns=2, wall_ns=3,
        scores=Scores(1.0, 1.0, score, 1.0, 0.5, 0.0, 1.0), threshold=2.0, calibration_serial=1,
    )  # fmt: skip


def test_every_verdict_is_one_line_of_json_in_order() -> None:
    stream = io.StringIO()
    log = VerdictLog(stream)
    for part in range(100):
        log.add(verdict(part))
    log.close()
    records = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [record["part_id"] for record in records] == list(range(100))
    assert records[0]["margin"] == -1.0
    assert log.dropped == 0


def test_json_has_no_nan() -> None:
    record = json.loads(verdict(0, math.nan).to_json(), parse_constant=lambda name: AssertionError(name))
    assert record["scores"]["score"] is None
    assert record["margin"] is None


class StuckStream(io.StringIO):
    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def write(self, text: str) -> int:
        self.go_on.wait(10)
        return super().write(text)


def test_a_stuck_stream_never_holds_up_a_part_and_the_loss_is_counted() -> None:
    stream = StuckStream()
    log = VerdictLog(stream, capacity=4)
    for part in range(20):
        log.add(verdict(part))
    assert log.dropped >= 15
    log.close(timeout_s=0.01)
    assert log.failure is not None
    assert log.dropped >= 18
    log.dropped -= 4  # what was still queued is written after all
    stream.go_on.set()
    log._thread.join(10)
    assert len(stream.getvalue().splitlines()) + log.dropped == 20


def test_a_full_disk_is_remembered_and_counted() -> None:
    log = VerdictLog(open("/dev/full", "w", buffering=1, encoding="utf-8"), owned=True)  # noqa: SIM115
    for part in range(3):
        log.add(verdict(part))
    log.close()
    assert "No space" in str(log.failure)
    assert log.dropped == 3
