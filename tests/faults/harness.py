"""The real edge-inspect as a process, broken from outside, and what its verdicts and its line say afterwards."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2

from tests.tiny_bundle import part_image

HOOK = Path(__file__).with_name("hook")
ROOT = Path(__file__).parents[2]
START_S, END_S = 60, 120
REJECT_LINE = "reject line (recording)"


@dataclass
class Outcome:
    """What is left of one run."""

    code: int
    said: str
    verdicts: list[dict[str, Any]]
    torn: int
    injected: list[dict[str, Any]]
    bad_sources: set[str] = field(default_factory=set)

    def faulted(self) -> dict[str, str]:
        """source → fault."""
        return {one["source"]: one["fault"] for one in self.injected if one["kind"] == "fault"}

    def line(self, name: str = REJECT_LINE) -> list[tuple[int, bool]]:
        """(monotonic nanoseconds, rejecting) of each time the reject line, or another, was driven, the request first."""
        return [(one["at_ns"], one["value"]) for one in self.injected if one["kind"] == "line" and one["line"] == name]

    def given_back(self) -> bool:
        """True where the program gave the line back itself; after a kill it is what kernel and pull make of it."""
        return any(one["kind"] == "released" and one["line"] == REJECT_LINE for one in self.injected)

    def assert_safe(self) -> None:
        """No faulted or bad part was a PASS; the line opened on a PASS alone, and was closed for all else."""
        assert self.line(), f"it never came to its line: {self.said}"
        faulted = self.faulted()
        for verdict in self.verdicts:
            if verdict["source"] in faulted or verdict["source"] in self.bad_sources:
                assert verdict["outcome"] != "PASS", (faulted.get(verdict["source"]), verdict)
        ids = [verdict["part_id"] for verdict in self.verdicts]
        assert ids == sorted(set(ids))
        sources = [verdict["source"] for verdict in self.verdicts if verdict["scores"] is not None]
        assert len(sources) == len(set(sources))
        changes = self.line()
        assert changes[0][1] is True
        # A killed program has driven the line for verdicts that its log had not written yet.
        told_until = self.verdicts[-1]["decided_ns"] if self.verdicts else 0
        for at_ns, rejecting in changes:
            if rejecting or not (self.given_back() or at_ns <= told_until):
                continue
            decided = [verdict["outcome"] for verdict in self.verdicts if verdict["decided_ns"] <= at_ns]
            # The last one may be decided and about to close the line; that it did is judged below.
            assert "PASS" in decided[-2:], f"the line was opened after {decided[-2:]}"
        for verdict, following in zip(self.verdicts, self.verdicts[1:], strict=False):
            if verdict["outcome"] != "PASS":
                assert self._level(following["decided_ns"]) is True, verdict

    def _level(self, at_ns: int) -> bool:
        before = [rejecting for when, rejecting in self.line() if when <= at_ns]
        return before[-1] if before else True


class FaultBench:
    """A calibrated tiny bundle and a folder of parts, for one test."""

    def __init__(self, calibrated_dir: Path, folder: Path) -> None:
        self.bundle, self.folder, self.parts = calibrated_dir, folder, folder / "parts"
        self.bad_sources: set[str] = set()
        self.runs = 0

    def write_parts(self, count: int, bad_every: int = 0) -> None:
        """``count`` pictures, no two in a row the same; every ``bad_every``-th is of a defective part."""
        self.parts.mkdir(parents=True)
        good, bad = [self.folder / name for name in ("good.png", "bad.png")]
        cv2.imwrite(str(bad), part_image(3, defect=True))
        for seed in range(2):
            cv2.imwrite(str(good.with_name(f"good{seed}.png")), part_image(seed + 3))
        for index in range(count):
            is_bad = bad_every > 0 and index % bad_every == bad_every - 1
            path = self.parts / f"{index:05d}.png"
            shutil.copyfile(bad if is_bad else good.with_name(f"good{index % 2}.png"), path)
            if is_bad:
                self.bad_sources.add(str(path))

    def run(
        self,
        faults: dict[int, str],
        *arguments: str,
        kill: Callable[[subprocess.Popen[str]], None] | None = None,
        verdicts: Path | None = None,
        **plan: object,
    ) -> Outcome:
        """Run to the end of the parts, or until ``kill``, which is called once it inspects, has ended it."""
        self.runs += 1
        folder = self.folder / f"run{self.runs}"
        folder.mkdir()
        log = verdicts or folder / "verdicts.jsonl"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("EDGE_INSPECT_")}
        environment |= {
            "PYTHONPATH": os.pathsep.join((str(HOOK), str(ROOT))),
            "FAULT_PLAN": json.dumps({"folder": str(folder), "faults": faults, **plan}),
            "OMP_NUM_THREADS": "1",
        }
        command = [
            sys.executable, "-m", "edge.cli", "--camera", f"file://{self.parts}", "--bundle", str(self.bundle),
            "--gpio", "recording", "--threads", "1", "--verdicts", str(log), *arguments,
        ]  # fmt: skip
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, cwd=folder)
        assert process.stderr is not None
        said: list[str] = []
        started = threading.Event()

        def listen() -> None:
            assert process.stderr is not None
            for line in process.stderr:
                said.append(line)
                if "RECORDING GPIO" in line:
                    started.set()
            started.set()

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        try:
            if kill is not None:
                assert started.wait(START_S)
                kill(process)
            process.wait(END_S)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()
            listener.join()
            process.stderr.close()
        records, torn = _lines(log) if log.is_file() else ([], 0)
        injected, _ = _lines(folder / "injected.jsonl")
        whole = [record for record in records if "event" not in record]
        return Outcome(process.returncode, "".join(said), whole, torn, injected, self.bad_sources)


def _lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The JSON lines, and 1 where the last one is torn; any other that cannot be read raises."""
    lines = path.read_text(encoding="utf-8").split("\n")
    last = lines.pop()
    return [json.loads(line) for line in lines], int(last != "")
