"""The page beside a running inspection: the programs themselves, a real server and real HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("uvicorn")

from edge.records.part_records import FILE, FOLDER
from edge.records.record_query import RecordQuery
from tests.edge.page.running_line import Line
from tests.tiny_bundle import part_image
from tests.until import until


class Viewer:
    """Reads the events of one live page."""

    def __init__(self, line: Line) -> None:
        self.answer = line.ask("GET", "/live/events")
        assert self.answer.status == 200
        self.points: dict[int, str] = {}
        self.newest: dict[str, dict[str, object]] = {}

    def read_until(self, condition: Callable[[Viewer], bool], seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        event = ""
        while not condition(self):
            assert time.monotonic() < end
            text = self.answer.readline().decode().rstrip("\n")
            if text.startswith("event: "):
                event = text[7:]
            elif text.startswith("data: "):
                content = json.loads(text[6:])
                self.newest[event] = content
                if event == "points":
                    self.points |= {point[0]: point[1] for point in content["points"]}

    @property
    def counted(self) -> int:
        counts = self.newest.get("records", {}).get("counts", {})
        assert isinstance(counts, dict)
        return sum(counts.get(name, 0) for name in ("PASS", "REJECT", "FAULT"))


def test_each_part_is_counted_once_and_drawn_once_whoever_watches(line: Line) -> None:
    first = Viewer(line)
    line.trigger(12)
    first.read_until(lambda one: one.counted == 12 and len(one.points) == 12 and "picture" in one.newest)
    second = Viewer(line)  # comes later, and reads nothing for a while
    line.trigger(15)
    for viewer in (first, second):
        viewer.read_until(lambda one: one.counted == 27 and len(one.points) == 27)
    assert line.parts() == 27
    shift = RecordQuery(line.state / FOLDER / FILE).shift(0, 2**62)
    assert first.newest["records"]["counts"] == {**{"PASS": 0, "REJECT": 0, "FAULT": 0, "in_flight": 0}, **shift.outcomes}
    status = second.newest["status"]
    assert status["running"] is True
    assert str(status["lines"]).startswith("RECORDING GPIO")
    rejects = second.newest["records"]["rejects"]
    assert isinstance(rejects, list)
    assert [one["part_id"] for one in rejects] == sorted((one["part_id"] for one in rejects), reverse=True)


def test_the_picture_is_that_of_the_part_with_and_without_heat(line: Line) -> None:
    viewer = Viewer(line)
    line.trigger(1)
    viewer.read_until(lambda one: "picture" in one.newest)
    part = viewer.newest["picture"]["part_id"]
    pictures = {}
    for heat in ("true", "false"):
        answer = line.ask("GET", f"/live/picture/{part}?heat={heat}")
        assert answer.getheader("content-type") == "image/jpeg"
        pictures[heat] = cv2.imdecode(np.frombuffer(answer.read(), np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(pictures["false"].astype(int) - part_image(0)).mean() < 3
    assert pictures["true"].shape == pictures["false"].shape
    assert np.abs(pictures["true"].astype(int) - pictures["false"].astype(int)).mean() > 5
    assert line.ask("GET", "/live/picture/4711").status == 404


def test_a_page_that_dies_or_hangs_costs_no_part_and_comes_back(line: Line) -> None:
    line.trigger(3)
    (page,) = [int(pid) for pid in os.listdir("/proc") if pid.isdecimal() and is_child(int(pid), line.process.pid)]
    os.kill(page, signal.SIGSTOP)
    line.trigger(5)
    until(lambda: line.parts() == 8)
    os.kill(page, signal.SIGKILL)
    line.trigger(5)
    until(lambda: line.parts() == 13)
    until(line.answers)
    viewer = Viewer(line)  # still logged in
    viewer.read_until(lambda one: one.counted == 13)
    outcomes = RecordQuery(line.state / FOLDER / FILE).shift(0, 2**62).outcomes
    assert outcomes.get("FAULT", 0) == 0


def is_child(pid: int, parent: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(status[1]) == parent and b"page_server" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_so_many_viewers_and_no_more(line: Line) -> None:
    viewers = [line.ask("GET", "/live/events") for _ in range(17)]
    assert [one.status for one in viewers] == [200] * 16 + [503]
    assert line.ask("GET", "/history").status == 200
    for opened in (*line.streams, *line.connections):
        opened.close()
    until(lambda: line.ask("GET", "/live/events").status == 200)


def test_the_page_ends_with_the_inspection(line: Line) -> None:
    line.process.send_signal(signal.SIGINT)
    line.process.wait(30)
    until(lambda: not line.answers())


def test_without_its_packages_the_start_says_so(calibrated_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util\nfind = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, package=None: None if name == 'fastapi' else find(name, package)\n"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    command = [sys.executable, "-m", "edge.cli", "--bundle", str(calibrated_dir), "--dry-run", "--http", ":8080", "--camera"]
    result = subprocess.run(
        [*command, f"file://{calibrated_dir.parent / 'normal'}"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert "the page needs fastapi; run: pip install 'edge-inspect[hmi]'" in result.stderr
