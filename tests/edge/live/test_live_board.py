"""What a running inspection shows: the program itself with a folder as its camera, and a reader beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.clock import SystemClock
from edge.errors import NotRunningError
from edge.live.live_reader import LiveReader
from edge.live.live_status import MAGIC, SOCKET, STAGE_BOUNDS_MS, LiveStatus, LiveView
from edge.live.message import packed
from edge.live.newest_server import Answer, NewestServer
from tests.tiny_bundle import part_image
from tests.until import until

CLOCK = SystemClock()
STATION = """
trigger: {kind: software}
timing: {deadline_ms: 2000, reject_delay_ms: 2100}
"""


def command(bundle: Path, station: Path, folder: Path) -> list[str]:
    return [
        sys.executable, "-m", "edge.cli", "--camera", f"file://{folder}", "--bundle", str(bundle), "--gpio", "recording",
        "--station", str(station), "--verdicts", "-",
    ]  # fmt: skip


@pytest.fixture
def inspection(calibrated_dir: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Three parts have been judged, and more may be triggered."""
    folder = tmp_path / "parts"
    folder.mkdir()
    for index in range(20):
        cv2.imwrite(str(folder / f"{index:02d}.png"), part_image(index))
    station = tmp_path / "station.yaml"
    station.write_text(STATION)
    process = subprocess.Popen(
        command(calibrated_dir, station, folder), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=30)


def trigger(bundle: Path, count: int) -> None:
    command = [sys.executable, "-m", "edge.cli", "trigger", "--bundle", str(bundle), "--count", str(count), "--every-ms", "300"]
    subprocess.run(command, check=True)


def status_when(reader: LiveReader, condition: Callable[[LiveStatus], bool]) -> LiveStatus:
    def answered() -> LiveStatus | None:
        with suppress(NotRunningError):
            status = reader.status()
            return status if condition(status) else None
        return None

    status: LiveStatus = until(answered)
    return status


def test_a_reader_sees_status_and_the_newest_part(inspection: subprocess.Popen[str], calibrated_dir: Path) -> None:
    reader = LiveReader(calibrated_dir.parent, CLOCK)
    first = status_when(reader, lambda status: status.state == "ready")
    assert (first.number, first.verdict, first.outcomes) == (0, None, {"PASS": 0, "REJECT": 0, "FAULT": 0})
    assert first.lines.startswith("RECORDING GPIO: a stand-in")
    assert reader.view(20) is None
    trigger(calibrated_dir, 3)
    assert inspection.stdout is not None
    verdicts = [json.loads(inspection.stdout.readline()) for _ in range(3)]
    status = status_when(reader, lambda status: status.number == 3)
    assert status.verdict == verdicts[-1]
    assert sum(status.outcomes.values()) == 3
    assert status.triggers == {"accepted": 3}
    assert status.product.threshold == verdicts[-1]["threshold"]
    engine = status.stages["engine"]
    assert (sum(engine.counts), len(engine.counts)) == (3, len(STAGE_BOUNDS_MS) + 1)
    assert engine.total_ms == pytest.approx(sum(verdict["stage_ms"]["engine"] for verdict in verdicts), abs=0.01)
    seen = reader.view(2000)
    assert seen is not None
    assert seen.header.verdict == verdicts[-1]
    assert np.array_equal(seen.image, part_image(2))
    assert seen.anomaly_map.ndim == 2
    assert seen.anomaly_map.mean() == pytest.approx(verdicts[-1]["scores"]["map_mean"], rel=1e-3)
    assert reader.view(20) is None
    reader.close()


def test_where_none_runs_it_says_so(tmp_path: Path) -> None:
    reader = LiveReader(tmp_path, CLOCK)
    with pytest.raises(NotRunningError, match="does not answer there; start it"):
        reader.status()
    with pytest.raises(NotRunningError):
        reader.view(10)


def test_a_part_that_was_given_is_not_sent_again_by_waiting_for_the_next(tmp_path: Path) -> None:
    image, newest = np.full((4, 6, 3), 7, np.uint8), [1]

    def view() -> Answer:
        header = LiveView(verdict={"part_id": newest[0]}, width=6, height=4, map_width=0, map_height=0, region=None)
        return Answer(newest[0], [packed(MAGIC, header.model_dump_json()), image.data.cast("B")])

    server = NewestServer(tmp_path / SOCKET, {b"V": view, b"S": lambda: None}, CLOCK)
    reader = LiveReader(tmp_path, CLOCK)
    first = reader.view(5000)
    assert first is not None
    assert [reader.view(20) for _ in range(3)] == [None, None, None]
    newest[0] = 2
    server.renewed()
    second = reader.view(5000)
    assert second is not None
    assert (first.header.verdict, second.header.verdict) == ({"part_id": 1}, {"part_id": 2})
    assert reader.view(20) is None
    with pytest.raises(NotRunningError):  # another question is not answered by what was still to come
        reader.status()
    reader.close()
    server.close()


@pytest.mark.parametrize("content", [b"", b"HTTP/1.1 400 Bad Request", MAGIC + b"\xff\xff\xff\xff", MAGIC + b"\x00\x00\x00\x02{}"])
def test_an_answer_of_something_else_is_not_believed(content: bytes, tmp_path: Path) -> None:
    server = NewestServer(tmp_path / SOCKET, {b"S": lambda: Answer(1, [content, bytes(100)])}, CLOCK)
    reader = LiveReader(tmp_path, CLOCK)
    with pytest.raises(NotRunningError, match="another version"):
        reader.status()
    reader.close()
    server.close()
