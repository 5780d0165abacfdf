from __future__ import annotations

import threading
from pathlib import Path

import pytest

from edge.errors import OutputError
from edge.supervision import stop_order
from edge.supervision.stop_order import StopOrder
from tests.until import until


def order(path: Path, told: list[str] | None = None) -> StopOrder:
    return StopOrder(path, (told if told is not None else []).append)


def test_the_first_order_stands_until_it_is_lifted(tmp_path: Path) -> None:
    path = tmp_path / "state" / "line-stop.txt"
    first = order(path)
    assert first.standing() == ""
    first.give("part 3 may have gone on")
    first.give("another reason")
    first.lift()
    assert first.standing() == ""
    second = order(path)
    second.give("part 4 may have gone on")
    until(path.exists)
    assert order(path).standing() == f"part 4 may have gone on ({path}, of a run that came to no orderly end)"
    order(path).lift()
    assert order(path).standing() == ""
    order(path).lift()


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_what_cannot_be_read_is_an_order_all_the_same(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "line-stop.txt"
    path.write_bytes(content)
    assert order(path).standing().startswith("the line was stopped (")


def test_an_order_that_cannot_be_kept_is_told_and_one_that_cannot_be_removed_raises(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told: list[str] = []
    given = order(tmp_path / "file" / "line-stop.txt", told)
    given.give("part 3 may have gone on")
    with pytest.raises(OutputError, match="the line stands until it is gone"):
        given.lift()
    assert len(told) == 1
    assert "would not outlast this run" in told[0]


def test_who_gives_it_does_not_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, written = threading.Event(), []

    def slow(path: Path, content: bytes) -> None:
        disk.wait(10)
        written.append(content)

    monkeypatch.setattr(stop_order, "write_file", slow)
    given = order(tmp_path / "line-stop.txt")
    given.give("part 3 may have gone on")
    assert written == []
    disk.set()
    given.lift()
    assert written == [b"part 3 may have gone on\n"]


def test_a_machine_without_a_thread_left_is_told_and_nothing_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    told: list[str] = []
    given = order(tmp_path / "line-stop.txt", told)
    monkeypatch.setattr(threading.Thread, "start", refused)
    given.give("part 3 may have gone on")
    assert told == ["the order to stop the line would not outlast this run: can't start new thread"]
    given.lift()
