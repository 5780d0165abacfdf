from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import InputError, OutputError
from edge.supervision import stop_order
from edge.supervision.stop_order import BETWEEN, FILE, MORE, MOST, StopOrder, with_more
from tests.edge.supervision.kept_order import until_kept
from tests.until import until


def order(state: Path, told: list[str] | None = None) -> StopOrder:
    return StopOrder(state, (told if told is not None else []).append)


def released(state: Path) -> None:
    """A person has looked for what stands."""
    one = order(state)
    one.release(one.standing())


def test_each_reason_stands_over_runs_until_it_is_released(tmp_path: Path) -> None:
    state = tmp_path / "state"
    first = order(state)
    assert first.standing() == ""
    assert not first.released()
    first.give("part 3 may have gone on")
    until_kept(state)
    for reason in ("part 4 may have gone on", "part 3 may have gone on"):
        first.give(reason)
    until_kept(state)
    until(lambda: "part 4" in order(state).standing())
    for _ in range(2):
        assert order(state).standing() == "part 3 may have gone on; part 4 may have gone on"
    assert not first.released()
    released(state)
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
        released(tmp_path)
        until(one.released)


def test_an_order_of_a_run_before_is_released_in_the_same_way(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("part 3 may have gone on")
    one = order(tmp_path)
    assert one.standing()
    assert not one.released()
    released(tmp_path)
    assert one.released()


def test_a_file_that_is_merely_gone_releases_nothing(tmp_path: Path) -> None:
    one = order(tmp_path)
    one.give("part 3 may have gone on")
    until_kept(tmp_path)
    (tmp_path / FILE).unlink()
    assert not one.released()
    until_kept(tmp_path)
    assert order(tmp_path).standing() == "part 3 may have gone on"
    released(tmp_path)
    until(one.released)


def test_a_part_that_goes_on_while_it_is_written_down_who_releases_is_not_released_with_it(tmp_path: Path) -> None:
    one, person = order(tmp_path), order(tmp_path)
    one.give("part 3 may have gone on")
    until_kept(tmp_path)
    seen = person.standing()
    one.give("part 4 may have gone on")
    until(lambda: "part 4" in order(tmp_path).standing())
    with pytest.raises(InputError, match="look again"):
        person.release(seen)
    assert not one.released()


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_what_cannot_be_read_is_an_order_all_the_same(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert order(tmp_path).standing() == "the line was stopped"


def test_what_somebody_wrote_into_it_is_one_line_that_can_be_released(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("part 3\r\nmay have\n\n gone on\n" + "x" * 100_000)
    one = order(tmp_path)
    reason = one.standing()
    assert reason.startswith("part 3 may have gone on xxx")
    assert len(reason) < 1500
    one.release(reason)
    assert one.released()


def test_an_order_that_cannot_be_kept_is_told_and_can_be_released_by_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told: list[str] = []
    kept = order(tmp_path / "file", told)
    kept.give("part 3 may have gone on")
    until(lambda: told)
    assert "not on the disk yet" in told[0]
    assert not kept.released()
    with pytest.raises(OutputError, match="the line stands on"):
        kept.release(kept.standing())


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
    kept = order(tmp_path, told)
    monkeypatch.setattr(threading.Thread, "start", refused)
    kept.give("part 3 may have gone on")
    assert len(told) == 1
    assert "can't start new thread" in told[0]
    assert not kept.released()
    assert len(told) == 1
    monkeypatch.undo()
    assert not kept.released()
    until_kept(tmp_path)


def test_what_a_full_disk_would_not_take_is_kept_once_it_does_and_released_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OutputError("No space left on device")

    told: list[str] = []
    kept = order(tmp_path, told)
    monkeypatch.setattr(stop_order, "write_file", full)
    kept.give("part 3 may have gone on")
    until(lambda: told)
    kept.give("part 4 may have gone on")
    assert not kept.released()
    monkeypatch.undo()
    until(lambda: kept.released() or order(tmp_path).standing())
    assert told == [told[0]]
    assert order(tmp_path).standing() == "part 3 may have gone on; part 4 may have gone on"
    released(tmp_path)
    until(kept.released)


def test_a_part_that_may_have_gone_on_while_another_is_looked_for_is_in_the_order_under_its_own_number(tmp_path: Path) -> None:
    one = order(tmp_path)
    one.give("part 3 may have gone on")
    until_kept(tmp_path)
    released(tmp_path)
    one.give("part 4 may have gone on")
    until_kept(tmp_path)
    assert order(tmp_path).standing() == "part 4 may have gone on"


@given(st.lists(st.integers(0, 200)))
def test_reasons_are_each_there_once_in_their_order_up_to_what_a_person_reads(parts: list[int]) -> None:
    reasons = ""
    for part in parts:
        reasons = with_more(reasons, f"part {part} may have gone on")
    assert with_more(reasons, reasons) == reasons
    each = reasons.split(BETWEEN) if reasons else []
    wanted = [f"part {part} may have gone on" for part in dict.fromkeys(parts)]
    if each[-1:] == [MORE]:
        del each[-1]
        assert each
        assert len(each) < len(wanted)
    else:
        assert len(each) == len(wanted)
    assert each == wanted[: len(each)]
    assert len(reasons) < MOST + 2 * len(MORE)
