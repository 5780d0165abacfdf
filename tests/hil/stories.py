"""The stories that are told inside the test machine, told once for each file and judged one by one out here."""

from __future__ import annotations

import os
import re
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.cli import main as calibrate
from edge.frame import Image
from edge.slots.slots_cli import main as slots
from tests.hil.machine import PROJECT, run_in_machine
from tests.tiny_bundle import part_image, write_tiny_bundle

INSIDE = PROJECT / "tests" / "hil" / "inside"
SIZE = (640, 480)
AGAIN = 2
"""So often a story that fails is told once more beside other tests: they hold up the machine for longer than a line may be late.
`make hil` tells each once."""


def names(file: str) -> list[str]:
    """Of the stories in a file of ``inside/``, without importing it."""
    return re.findall(r"^def (test_\w+)", (INSIDE / file).read_text(encoding="utf-8"), re.MULTILINE)


def picture(seed: int, defect: bool = False) -> Image:
    """uint8 480×640×3, BGR: a part as the machine's camera shows it."""
    return cv2.resize(part_image(seed, defect), SIZE)


def prepare(results: Path) -> None:
    """What the stories are given: a bundle whose slot 1 tells good from bad and slot 2 takes bad for good; pictures of both."""
    bundle = write_tiny_bundle(results / "bundle")
    for serial, defect in ((1, False), (2, True)):
        folder = results / f"normal{serial}"
        folder.mkdir()
        for seed in range(60):
            assert cv2.imwrite(str(folder / f"{seed:03d}.png"), picture(3000 * defect + seed, defect))
        assert calibrate([str(folder), "--bundle", str(bundle)]) == 0
        shutil.rmtree(folder)
    assert slots(["activate", "1", "--bundle", str(bundle), "--reason", "the stories begin with it"]) == 0
    unseen = {kind: np.stack([picture(1000 + seed, kind == "bad") for seed in range(8)]) for kind in ("good", "bad")}
    np.savez(results / "pictures.npz", **unseen)


class Told:
    """How each story of one or more files ended."""

    def __init__(self, results: Path, *files: str, prepare: Callable[[Path], None] = prepare) -> None:
        results.mkdir()
        prepare(results)
        report = "report.xml"
        command = [
            sys.executable, "-m", "pytest", f"--confcutdir={INSIDE}", "-p", "no:cacheprovider", "-rs", "--tb=short",
            "-o", "junit_logging=system-out", "-rR", "--reruns", str(0 if "EDGE_INSPECT_HIL_ALL" in os.environ else AGAIN),
            f"--junitxml=/mnt/results/{report}", *(file if "/" in file else f"tests/hil/inside/{file}" for file in files),
        ]  # fmt: skip
        self.code, self.output = run_in_machine(command, results)
        self.cases: dict[str, ElementTree.Element] = {}
        if (results / report).is_file():
            self.cases = {str(case.get("name")): case for case in ElementTree.parse(results / report).iter("testcase")}

    def judge(self, name: str) -> None:
        """Fail or skip as the story did; what it printed is printed."""
        case = self.cases.get(name)
        if case is None:
            pytest.fail(f"the machine never told it: {self.output[-3000:]}")
        print(case.findtext("system-out") or "")
        for kind in ("failure", "error"):
            found = case.find(kind)
            if found is not None:
                pytest.fail(f"{found.text}\n{case.findtext('system-out') or ''}", pytrace=False)
        skipped = case.find("skipped")
        if skipped is not None:
            pytest.skip(str(skipped.get("message")))
