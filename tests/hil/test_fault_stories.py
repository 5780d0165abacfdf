"""What goes wrong at a line of real devices: told in a test machine by tests/hil/inside."""

from __future__ import annotations

import pytest

from tests.hil import stories

pytestmark = pytest.mark.hil
FILES = ("test_camera_faults.py", "test_line_and_process_faults.py")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> stories.Told:
    return stories.Told(tmp_path_factory.mktemp("machine") / "results", *FILES)


@pytest.mark.parametrize("story", [name for file in FILES for name in stories.names(file)])
def test_story(told: stories.Told, story: str) -> None:
    told.judge(story)
