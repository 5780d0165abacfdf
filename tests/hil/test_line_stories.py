"""Parts at a line of real devices, and the commands beside it: told in a test machine by tests/hil/inside."""

from __future__ import annotations

import pytest

from tests.hil import stories

pytestmark = pytest.mark.hil
FILES = ("test_parts.py", "test_commands.py")
CONTRACTS = ("tests/contracts/test_lines.py", "tests/contracts/test_input_lines.py", "tests/contracts/test_doctor_lines.py")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> stories.Told:
    return stories.Told(tmp_path_factory.mktemp("machine") / "results", *FILES, *CONTRACTS)


@pytest.mark.parametrize("story", [name for file in FILES for name in stories.names(file)])
def test_story(told: stories.Told, story: str) -> None:
    told.judge(story)


def test_lines_through_libgpiod_keep_the_contract(told: stories.Told) -> None:
    contract = [name for name in told.cases if "[" in name]
    assert len(contract) > 20
    for name in contract:
        assert told.cases[name].find("skipped") is None, name
        told.judge(name)
