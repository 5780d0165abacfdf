"""``calibrate`` started by the page: the real program, its progress, its end, and how it is stopped."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from edge.clock import SystemClock
from edge.errors import ConfigError
from edge.page.calibrate_job import CalibrateJob, JobState
from edge.page.roles import Role
from tests.edge.page.conftest import Page, form_token
from tests.until import until


@pytest.fixture
def job() -> CalibrateJob:
    return CalibrateJob(SystemClock(), lambda _: None)


def test_it_tells_how_far_it_is_and_leaves_the_active_one_active(two_slots_dir: Path, normal_dir: Path) -> None:
    ends: list[JobState] = []
    job = CalibrateJob(SystemClock(), ends.append)
    job.start([str(normal_dir), "--bundle", str(two_slots_dir), "--no-activate"], "", "Ann")
    stages: set[str] = set()
    while job.state.phase == "running":
        stages.add(job.state.stage)
        time.sleep(0.005)
    state = job.state
    assert (state.phase, state.serial, state.operator) == ("done", 3, "Ann")
    assert ends == [state]
    assert stages - {""}
    assert "is not active: edge-slots activate" in "\n".join(state.words)
    current = two_slots_dir.parent / "calibration" / "tiny" / "current"
    assert current.resolve().name == "000002"


def test_what_is_wrong_is_told_in_its_words(two_slots_dir: Path, tmp_path: Path, job: CalibrateJob) -> None:
    job.start([str(tmp_path / "nowhere"), "--bundle", str(two_slots_dir)], "", "Ann")
    until(lambda: job.state.phase != "running")
    assert job.state.phase == "failed"
    assert "expected a folder of images, there is none" in job.state.words[-1]


STUBBORN = """
import json, signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
print(json.dumps({"stage": "reading", "done": 1, "of": 2}), flush=True)
print("not JSON", flush=True)
print("x" * 100_000, flush=True)
print(json.dumps({"stage": "capture", "done": "many", "of": 2}), flush=True)
for number in range(1000):
    print("line", number, file=sys.stderr, flush=True)
time.sleep(60)
"""


def test_one_at_a_time_and_one_that_does_not_stop_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: CalibrateJob
) -> None:
    (tmp_path / "calibration").mkdir()
    (tmp_path / "calibration" / "__init__.py").touch()
    (tmp_path / "calibration" / "cli.py").write_text(STUBBORN)
    monkeypatch.chdir(tmp_path)  # python -m looks there first
    monkeypatch.setattr("edge.page.calibrate_job.STOP_S", 0.3)
    job.start([], "", "Ann")
    until(lambda: job.state.words and job.state.words[-1] == "line 999")
    assert (job.state.stage, job.state.done, job.state.of, len(job.state.words)) == ("reading", 1, 2, 30)
    with pytest.raises(ConfigError, match="running already"):
        job.start([], "", "Bob")
    assert job.stop()
    until(lambda: job.state.phase != "running")
    assert job.state.phase == "stopped"
    assert not job.stop()
    job.close()


def test_the_page_starts_it_shows_it_and_makes_it_active(page: Page) -> None:
    browser = page.logged_in(Role.TECHNICIAN)
    token = form_token(browser)
    session = page.state / "captures" / "20261124-060000"
    session.mkdir(parents=True)
    (session / "session.yaml").write_text("session: x\n")
    for name in ("../normal", "nothing", "-h"):
        assert browser.post("/calibration/run", data={"form_token": token, "captured": name}).status_code == 409
    assert browser.post("/calibration/run", data={"form_token": token, "frames": 3}).status_code == 422
    assert browser.post("/calibration/run", data={"form_token": token, "every_s": "nan"}).status_code == 422
    assert browser.post("/calibration/run", data={"form_token": token, "captured": session.name}).status_code == 303
    until(lambda: browser.get("/calibration/run/state").json()["phase"] != "running")
    state = browser.get("/calibration/run/state").json()
    assert state["phase"] == "failed"  # that session holds no pictures
    assert "expected images" in state["words"][-1] or "session" in state["words"][-1]
    assert state["words"][-1] in browser.get("/calibration/run").text.replace("&#39;", "'").replace("&#34;", '"')


def test_progress_as_lines_of_json(two_slots_dir: Path, normal_dir: Path) -> None:
    import json
    import subprocess

    command = [sys.executable, "-m", "calibration.cli", str(normal_dir), "--bundle", str(two_slots_dir), "--progress", "json"]
    lines = [json.loads(line) for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()]
    assert lines[-1] == {"calibration": 3, "active": True}
    last: dict[str, tuple[int, int]] = {}
    for line in lines[:-1]:
        last[line["stage"]] = line["done"], line["of"]
    assert {"reading", "before", "pictures"} <= set(last)
    assert all(done == of for done, of in last.values())
