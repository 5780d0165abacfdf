from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.slots.slot_activations import Action, Activation, ActivationLog, History
from tests.edge.storage.test_durable_files import no_file_larger_than


def activation(before: int | None, serial: int, action: Action = "activate") -> Activation:
    return Activation(
        time="2026-01-01T00:00:00Z", action=action, operator="Zoë", reason="new lamp", from_serial=before, to_serial=serial
    )


def test_what_was_appended_comes_back_as_json_lines(tmp_path: Path) -> None:
    log = ActivationLog(tmp_path)
    assert log.read() == History((), 0)
    log.append(activation(None, 1))
    log.append(activation(1, 2))
    assert log.read() == History((activation(None, 1), activation(1, 2)), 0)
    assert [json.loads(line)["to_serial"] for line in log.path.read_text().splitlines()] == [1, 2]


@given(st.data())
def test_a_line_torn_anywhere_is_passed_over_and_the_next_one_is_whole(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    log = ActivationLog(tmp_path_factory.mktemp("log"))
    log.append(activation(None, 1))
    whole = log.path.stat().st_size
    log.append(activation(1, 2))
    size = data.draw(st.integers(whole + 1, log.path.stat().st_size - 2))
    os.truncate(log.path, size)
    assert log.read() == History((activation(None, 1),), 1)
    log.append(activation(1, 3))
    assert log.read() == History((activation(None, 1), activation(1, 3)), 1)


def test_bytes_that_are_no_line_of_ours_are_counted(tmp_path: Path) -> None:
    log = ActivationLog(tmp_path)
    log.append(activation(None, 1))
    with open(log.path, "ab") as file:
        file.write(b'\x00\x00\xff\n[1]\n{"to_serial": 3}\n')
    assert log.read() == History((activation(None, 1),), 3)


def test_a_full_disk_adds_nothing(tmp_path: Path) -> None:
    log = ActivationLog(tmp_path)
    log.append(activation(None, 1))
    before = log.path.read_bytes()
    with no_file_larger_than(len(before) + 20), pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        log.append(activation(1, 2))
    assert log.path.read_bytes() == before


def test_a_line_whose_activation_a_power_cut_prevented_is_known() -> None:
    history = History((activation(None, 1), activation(1, 2), activation(1, 3), activation(3, 4)), 0)
    assert history.took_effect(active=4) == [True, False, True, True]
    assert history.took_effect(active=3) == [True, False, True, False]
    assert history.before(active=4) == [3, 1]
    assert history.before(active=3) == [1]


def test_rollbacks_walk_on_and_an_activation_starts_from_where_they_ended() -> None:
    steps = [activation(None, 1), activation(1, 2), activation(2, 3)]
    assert History(tuple(steps), 0).before(3) == [2, 1]
    steps.append(activation(3, 2, "rollback"))
    assert History(tuple(steps), 0).before(2) == [1]
    steps.append(activation(2, 1, "rollback"))
    assert History(tuple(steps), 0).before(1) == []
    steps.append(activation(1, 3))
    assert History(tuple(steps), 0).before(3) == [1]


def test_slots_that_were_active_before_the_record_began_or_were_set_by_hand_count() -> None:
    assert History((activation(5, 6),), 0).before(6) == [5]
    assert History((), 0).before(6) == []
    assert History((activation(None, 1), activation(1, 2)), 0).before(9) == [1]


@given(st.lists(st.one_of(st.integers(1, 5), st.none()), max_size=12))
def test_any_walk_of_activations_and_rollbacks_is_an_undo_stack(steps: list[int | None]) -> None:
    """None is a rollback. The reference is the plain stack of an editor's undo."""
    active: int | None = None
    stack: list[int] = []
    lines: list[Activation] = []
    for step in steps:
        if step is None:
            if len(stack) < 2:
                continue
            stack.pop()
            lines.append(activation(active, stack[-1], "rollback"))
        elif step != active:
            stack.append(step)
            lines.append(activation(active, step))
        active = stack[-1] if stack else None
    expected = [serial for serial in reversed(stack[:-1]) if serial != active]
    assert History(tuple(lines), 0).before(active) == expected
