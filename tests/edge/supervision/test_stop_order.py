from __future__ import annotations

import threading
from pathlib import Path

import pytest

from edge.errors import OutputError
from edge.supervision import stop_order
from edge.supervision.stop_order import FILE, StopOrder
from tests.edge.supervision.kept_order import until_kept
from tests.until import until


def order(state: Path, told: list[str] | None = None) -> StopOrder:
    return StopOrder(state, (told if told is not None else []).append)


def test_the_first_reason_stands_over_runs_until_it_is_released(tmp_path: Path) -> None:
    state = tmp_path / "state"
    first = order(state)
    assert first.standing() == ""
    assert not first.released()
    first.give("part 3 may have gone on")
    until_kept(state)
    first.give("another reason")
    until_kept(state)
    for _ in range(2):
        assert order(state).standing() == "part 3 may have gone on"
    assert not first.released()
    order(state).release()
    until(first.released)
    assert order(state).standing() == ""


def test_after_a_release_the_next_one_stands_again(tmp_path: Path) -> None:
    one = order(tmp_path)
    for part in (3, 4):
        one.give(f"part {part} may have gone on")
        assert not one.released()  # also while it is still being written
        until_kept(tmp_path)
        assert f"part {part}" in one.standing()
        assert not one.released()
        order(tmp_path).release()
        until(one.released)


def test_an_order_of_a_run_before_is_released_in_the_same_way(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("part 3 may have gone on")
    one = order(tmp_path)
    assert one.standing()
    assert not one.released()
    order(tmp_path).release()
    assert one.released()


def test_a_file_that_is_merely_gone_releases_nothing(tmp_path: Path) -> None:
    one = order(tmp_path)
    one.give("part 3 may have gone on")
    until_kept(tmp_path)
    (tmp_path / FILE).unlink()
    assert not one.released()


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_what_cannot_be_read_is_an_order_all_the_same(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert order(tmp_path).standing() == "the line was stopped"


def test_an_order_that_cannot_be_kept_is_told_and_can_be_released_by_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told: list[str] = []
    given = order(tmp_path / "file", told)
    given.give("part 3 may have gone on")
    until(lambda: told)
    assert "would not outlast this run" in told[0]
    assert not given.released()
    with pytest.raises(OutputError, match="the line stands on"):
        given.release()


def test_who_gives_it_does_not_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, written = threading.Event(), []

    def slow(path: Path, content: bytes) -> None:
        disk.wait(10)
        written.append(content)

    monkeypatch.setattr(stop_order, "write_file", slow)
    order(tmp_path).give("part 3 may have gone on")
    assert written == []
    disk.set()
    until(lambda: written)
    assert written == [b"part 3 may have gone on\n"]


def test_a_machine_without_a_thread_left_is_told_and_nothing_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    told: list[str] = []
    given = order(tmp_path, told)
    monkeypatch.setattr(threading.Thread, "start", refused)
    given.give("part 3 may have gone on")
    assert len(told) == 1
    assert "can't start new thread" in told[0]
    assert not given.released()
