"""A process beside the inspection: started again when it ends, gone with it, and never louder than a line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.clock import SystemClock
from edge.live import companion
from edge.live.companion import NICENESS, Companion
from tests.until import until

CHILD = """
import os, sys, time
from pathlib import Path
from edge.live.companion import accompany
accompany()
spared = Path("/proc/self/oom_score_adj").read_text().strip()
Path(sys.argv[1]).open("a").write(f"{os.getpid()} {os.nice(0)} {spared}\\n")
sys.exit(3) if sys.argv[2] == "ends" else time.sleep(60)
"""
STUBBORN = """
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGTERM, signal.SIG_IGN)
Path(sys.argv[1]).write_text("here")
time.sleep(60)
"""


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))

    def write(text: str) -> str:
        (tmp_path / "child_of_a_test.py").write_text(text)
        return "child_of_a_test"

    return write


def test_it_runs_behind_the_inspection_and_ends_when_closed(module: Callable[[str], str], tmp_path: Path) -> None:
    said: list[str] = []
    out = tmp_path / "pids"
    one = Companion("page", module(CHILD), [str(out), "stays"], said.append, SystemClock())
    one.start()
    until(out.exists)
    until(out.read_text)
    pid, niceness, first_to_go = map(int, out.read_text().split())
    assert niceness >= NICENESS
    assert first_to_go == companion.FIRST_TO_GO
    assert one.failure == ""
    one.close()
    one.close()
    assert not running(pid)
    assert said == []


def test_one_that_ends_is_told_and_started_again(
    module: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(companion, "FIRST_MS", 10)
    said: list[str] = []
    out = tmp_path / "pids"
    one = Companion("page", module(CHILD), [str(out), "ends"], said.append, SystemClock())
    one.start()
    until(lambda: out.exists() and len(out.read_text().splitlines()) >= 2)
    one.close()
    assert said[0].startswith("page: ended with exit code 3; it is started again in")


def test_one_that_does_not_end_is_killed(module: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(companion, "CLOSE_S", 0.2)
    out = tmp_path / "here"
    one = Companion("page", module(STUBBORN), [str(out)], lambda _: None, SystemClock())
    one.start()
    until(out.exists)
    one.close()
    assert not one._thread.is_alive()


def test_it_ends_with_an_inspection_that_is_killed(module: Callable[[str], str], tmp_path: Path) -> None:
    out = tmp_path / "pids"
    parent = (
        "import time\nfrom edge.clock import SystemClock\nfrom edge.live.companion import Companion\n"
        f"Companion('page', {module(CHILD)!r}, [{str(out)!r}, 'stays'], print, SystemClock()).start()\ntime.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", parent])
    until(lambda: out.exists() and out.read_text())
    pid = int(out.read_text().split()[0])
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: not running(pid))


SPEAKER = """
import sys, time
from pathlib import Path
from edge.live.companion import tell_weaknesses
sys.stdout.write("rubbish\\n" * 20_000)
tell_weaknesses({"mqtt": "broker\\nis away", "modbus": ""})
Path(sys.argv[1]).write_text("said")
while not Path(sys.argv[1] + ".go").exists():
    time.sleep(0.01)
tell_weaknesses({"modbus": "x" * 5000})
sys.stdout.write('{"mqtt": 3}\\n{"broken')
sys.stdout.flush()
while not Path(sys.argv[1] + ".end").exists():
    time.sleep(0.01)
"""


def test_what_it_finds_weak_is_heard_and_nothing_else_believed(module: Callable[[str], str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    one = Companion("plant", module(SPEAKER), [str(out)], lambda _: None, SystemClock())
    assert one.weaknesses() == {"plant": ""}
    one.start()
    until(lambda: one.weaknesses().get("plant mqtt"))
    assert one.weaknesses() == {"plant": "", "plant mqtt": "broker is away", "plant modbus": ""}
    Path(f"{out}.go").touch()
    until(lambda: not one.weaknesses()["plant mqtt"])
    assert one.weaknesses() == {"plant": "", "plant mqtt": "", "plant modbus": "x" * companion.LONGEST}
    Path(f"{out}.end").touch()
    until(lambda: one.failure)
    assert not any(reason for what, reason in one.weaknesses().items() if what != "plant")
    one.close()
