"""What every story in the test machine has at hand: a camera, a GPIO chip, a watch on its lines, and a bundle to inspect with."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.frame import Image
from tests.hil.inside.chip import Chip
from tests.hil.inside.conveyor import Conveyor
from tests.hil.inside.inspector import Inspector
from tests.hil.inside.line_watch import LineWatch
from tests.hil.inside.virtual_camera import VirtualCamera

# Elsewhere than in the machine there is nothing here to collect.
collect_ignore_glob = [] if "EDGE_INSPECT_GPIO_SIM" in os.environ else ["test_*.py"]
GIVEN = Path("/mnt/results")
"""What the host made: bundle/, calibration/, pictures.npz."""


LONGEST_STORY_S = 90


@pytest.fixture(autouse=True)
def _in_time() -> Iterator[None]:
    """A story that hangs fails, and the next one is told."""

    def too_long(*_: object) -> None:
        raise TimeoutError(f"the story took longer than {LONGEST_STORY_S} s")

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LONGEST_STORY_S)
    yield
    signal.alarm(0)


@pytest.fixture(scope="session")
def good() -> list[Image]:
    """Pictures of good parts, none of which the calibration has seen."""
    return list(np.load(GIVEN / "pictures.npz")["good"])


@pytest.fixture(scope="session")
def bad() -> list[Image]:
    """Pictures of defective ones."""
    return list(np.load(GIVEN / "pictures.npz")["bad"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The bundle with its calibration; the state lies here too, in the machine's own memory."""
    for name in ("bundle", "calibration"):
        shutil.copytree(GIVEN / name, tmp_path / name, symlinks=True)
    return tmp_path


@pytest.fixture
def camera(good: list[Image]) -> Iterator[VirtualCamera]:
    """Shows good parts."""
    one = VirtualCamera(good)
    yield one
    one.close()


@pytest.fixture
def chip() -> Iterator[Chip]:
    """With every line of a station."""
    one = Chip()
    yield one
    one.close()


@pytest.fixture
def lines(chip: Chip) -> Iterator[LineWatch]:
    """What the outputs say, and when."""
    one = LineWatch(chip)
    yield one
    one.close()


@pytest.fixture
def conveyor(camera: VirtualCamera, chip: Chip, good: list[Image], bad: list[Image]) -> Conveyor:
    """Empty yet."""
    return Conveyor(camera, chip, good, bad)


@pytest.fixture
def inspect(folder: Path) -> Iterator[Callable[..., Inspector]]:
    """``inspect(station, *options)`` starts edge-inspect."""
    with ExitStack() as stack:

        def start(station: dict[str, Any], *options: str) -> Inspector:
            one = Inspector(folder, station, *options)
            stack.callback(lambda: print(one.said()))
            stack.callback(one.close)
            return one

        yield start
