"""What a camera does wrong, and what becomes of the line meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from edge.frame import Image
from tests.hil.inside.chip import Chip
from tests.hil.inside.conveyor import Conveyor
from tests.hil.inside.inspector import Inspector
from tests.hil.inside.line_watch import LineWatch
from tests.hil.inside.station import AT_THE_ARM_S, MS, TICK_MS, free, triggered
from tests.hil.inside.virtual_camera import CAPTURE, VirtualCamera, device

Start = Callable[..., Inspector]
PASS_VALID_MS = 1000
FROZEN_TOLD_S = 1.5
"""Well after `still_ms`, 250."""
HEARD_S = 0.1
"""So late may a change of a line be told."""
STAMPED_AHEAD_NS = 40 * MS
"""vivid stamps by a grid of its own, up to a frame ahead."""


def safe_from(lines: LineWatch, fault_ns: int, within_ms: float) -> int:
    """The reject line is down ``within_ms`` after ``fault_ns``; when it fell. Until then a picture taken before may lift it."""
    while (now_ns := time.monotonic_ns()) < (until_ns := fault_ns + within_ms * MS + lines.stalled_ns(fault_ns, now_ns)):
        time.sleep((until_ns - now_ns) / 1e9)
    time.sleep(HEARD_S)
    changes = lines.of("reject", fault_ns, int(until_ns))
    assert [one.level for one in changes[-1:]] == [False], [((one.at_ns - fault_ns) / MS, one.level) for one in changes]
    return changes[-1].at_ns


def test_a_camera_that_is_unplugged_and_comes_back_is_taken_up_again(
    camera: VirtualCamera, chip: Chip, lines: LineWatch, inspect: Start
) -> None:
    inspector = inspect(free(), "--camera", camera.number)
    inspector.until("pass", lambda: chip.level("reject"))
    camera.unplug()
    gone_ns = time.monotonic_ns()
    safe_ns = safe_from(lines, gone_ns, PASS_VALID_MS + TICK_MS)
    lines.wait_for("ready", False, gone_ns, 2)
    lines.wait_for("fault", False, gone_ns, 2)
    time.sleep(1.0)
    assert not any(change.level for change in lines.of("reject", safe_ns))
    back_ns = time.monotonic_ns()
    camera.plug_in()
    again = lines.wait_for("reject", True, back_ns, 5)
    assert chip.level("ready")
    assert [one["reason"] for one in inspector.verdicts if one["outcome"] == "FAULT" and "gives no more frames" in one["reason"]]
    assert not [
        (one["exposed_ns"] - gone_ns, one["decided_ns"] - gone_ns, one["source"])
        for one in inspector.verdicts
        if one["outcome"] == "PASS" and gone_ns + STAMPED_AHEAD_NS < one["exposed_ns"] < back_ns
    ]
    print(f"taken up again {(again.at_ns - back_ns) / MS:.0f} ms after it was back")
    assert inspector.stop() == 0


def test_a_camera_that_comes_back_under_another_number_is_found_and_no_other_is_taken_for_it(
    camera: VirtualCamera, chip: Chip, lines: LineWatch, inspect: Start, bad: list[Image]
) -> None:
    was = device(CAPTURE)
    inspector = inspect(free(), "--camera", camera.number)
    inspector.until("pass", lambda: chip.level("reject"))
    holder = os.open(was, os.O_RDWR)  # another program that has it open: its number stays taken
    try:
        camera.unplug()
        gone_ns = time.monotonic_ns()
        safe_from(lines, gone_ns, PASS_VALID_MS + TICK_MS)
        back_ns = time.monotonic_ns()
        camera.plug_in()
        assert device(CAPTURE) != was
        lines.wait_for("reject", True, back_ns, 8)
    finally:
        os.close(holder)
    shown_ns = camera.show_at_once(bad)
    safe_from(lines, shown_ns, 1000)
    assert inspector.stop() == 0


def test_a_stalled_camera_rejects_and_is_taken_up_again(
    camera: VirtualCamera, chip: Chip, lines: LineWatch, inspect: Start
) -> None:
    inspector = inspect(free(), "--camera", camera.number)
    inspector.until("pass", lambda: chip.level("reject"))
    stalled_ns = time.monotonic_ns()
    camera.stall(True)
    safe_ns = safe_from(lines, stalled_ns, PASS_VALID_MS + 100 + TICK_MS)
    lines.wait_for("fault", False, stalled_ns, 6)
    assert not any(change.level for change in lines.of("reject", safe_ns))
    right_ns = time.monotonic_ns()
    camera.stall(False)
    lines.wait_for("reject", True, right_ns, 10)
    assert inspector.stop() == 0


def test_parts_of_a_stalled_camera_are_rejected(
    camera: VirtualCamera, chip: Chip, lines: LineWatch, inspect: Start, conveyor: Conveyor
) -> None:
    inspector = inspect(triggered(), "--camera", camera.number)
    inspector.until("READY", lambda: chip.level("ready"))
    camera.stall(True)
    time.sleep(0.1)
    stalled_ns = time.monotonic_ns()
    for _ in range(3):
        chip.pulse("eye")
        time.sleep(0.3)
    time.sleep(AT_THE_ARM_S)
    assert not any(change.level for change in lines.of("reject", stalled_ns))
    camera.stall(False)
    inspector.until_judged(3)
    inspector.until("READY", lambda: chip.level("ready"))
    time.sleep(3)
    inspector.until("READY", lambda: chip.level("ready"))
    inspector.until("a part that passes again", lambda: conveyor.run([True]) or inspector.verdicts[-1]["outcome"] == "PASS")
    assert inspector.stop() == 0
    assert [one["outcome"] for one in inspector.records().values()][:3] == ["FAULT"] * 3


def test_noise_of_a_lost_signal_never_passes(camera: VirtualCamera, chip: Chip, lines: LineWatch, inspect: Start) -> None:
    inspector = inspect(free(), "--camera", camera.number)
    inspector.until("pass", lambda: chip.level("reject"))
    camera.lose_signal(True)
    lost_ns = time.monotonic_ns()
    safe_ns = safe_from(lines, lost_ns, PASS_VALID_MS + TICK_MS)
    time.sleep(1)
    assert not any(change.level for change in lines.of("reject", safe_ns))
    after = [one for one in inspector.verdicts if (one["exposed_ns"] or one["decided_ns"]) > safe_ns]
    assert after
    assert all(one["outcome"] == "FAULT" and "no signal at its input" in one["reason"] for one in after), after[:3]
    right_ns = time.monotonic_ns()
    camera.lose_signal(False)
    lines.wait_for("reject", True, right_ns, 8)
    assert inspector.stop() == 0


def test_a_frozen_image_of_a_good_part_lets_nothing_pass(
    camera: VirtualCamera, chip: Chip, lines: LineWatch, inspect: Start, good: list[Image]
) -> None:
    inspector = inspect(triggered(), "--camera", camera.number)
    inspector.until("READY", lambda: chip.level("ready"))
    camera.show(good[:1])
    chip.pulse("eye")  # the last picture that was ever taken
    time.sleep(AT_THE_ARM_S)
    frozen_ns = time.monotonic_ns()
    for _ in range(3):
        chip.pulse("eye")
        time.sleep(0.3)
    time.sleep(AT_THE_ARM_S)
    print([(one["outcome"], one["reason"]) for one in inspector.verdicts])
    assert not any(change.level for change in lines.of("reject", frozen_ns))
    camera.show(good)

    def passes() -> bool:
        chip.pulse("eye")
        time.sleep(AT_THE_ARM_S)
        return bool(inspector.verdicts[-1]["outcome"] == "PASS")

    inspector.until("a part that passes again", passes)
    assert inspector.stop() == 0
    assert [one["outcome"] for one in inspector.records().values()][1:4] == ["FAULT"] * 3


def test_a_frozen_image_is_told_without_an_eye_too(
    camera: VirtualCamera, chip: Chip, lines: LineWatch, inspect: Start, good: list[Image]
) -> None:
    inspector = inspect(free(), "--camera", camera.number)
    inspector.until("pass", lambda: chip.level("reject"))
    frozen_ns = camera.show_at_once(good[:1])
    time.sleep(FROZEN_TOLD_S)  # until it has stood still for `still_ms` it may pass, and pass again after a torn picture
    told_ns = time.monotonic_ns()
    with lines.unless_held_up():
        assert not chip.level("reject")
        time.sleep(1)
        assert not any(change.level for change in lines.of("reject", told_ns))
    faults = [one for one in inspector.verdicts if one["outcome"] == "FAULT" and (one["exposed_ns"] or 0) > frozen_ns]
    assert any("it is frozen" in one["reason"] for one in faults), faults[-3:]
    right_ns = time.monotonic_ns()
    camera.show(good)
    lines.wait_for("reject", True, right_ns, 5)
    assert inspector.stop() == 0


def test_one_io_error_is_survived(camera: VirtualCamera, chip: Chip, lines: LineWatch, inspect: Start) -> None:
    inspector = inspect(free(), "--camera", camera.number)
    inspector.until("pass", lambda: chip.level("reject"))
    for wrong in (camera.one_bad_buffer, camera.one_io_error):
        failed_ns = time.monotonic_ns()
        wrong()
        time.sleep(1)
        inspector.until("pass", lambda: chip.level("reject"), 10)
        assert [one for one in inspector.verdicts if one["outcome"] == "PASS" and (one["exposed_ns"] or 0) > failed_ns]
        print({(one["outcome"], one["reason"]) for one in inspector.verdicts if one["decided_ns"] > failed_ns})
    assert inspector.stop() == 0


def test_a_driver_that_gives_up_is_opened_again(camera: VirtualCamera, chip: Chip, lines: LineWatch, inspect: Start) -> None:
    inspector = inspect(free(), "--camera", camera.number)
    inspector.until("pass", lambda: chip.level("reject"))
    failed_ns = time.monotonic_ns()
    camera.fail_streaming()
    fell = lines.wait_for("reject", False, failed_ns, (PASS_VALID_MS + TICK_MS) / 1e3)

    def passes() -> bool:
        return any(one["outcome"] == "PASS" and one["exposed_ns"] > fell.at_ns for one in inspector.verdicts)

    inspector.until("a picture taken afterwards that passes", passes, 10)
    assert inspector.stop() == 0


def test_a_busy_camera_is_waited_for_with_the_lines_safe(
    camera: VirtualCamera, chip: Chip, lines: LineWatch, inspect: Start, folder: object
) -> None:
    first = inspect(free(), "--camera", camera.number, "--dry-run")
    first.until_judged(1)
    second = inspect(free(), "--camera", camera.number)
    assert second.wait() == 2
    assert "is another program using it" in second.said()
    third = inspect(free(), "--camera", camera.number, "--wait-for-hardware")
    third.until_said("waiting: camera")
    assert not any(chip.levels().values())
    assert first.stop() == 0
    third.until("READY", lambda: chip.level("ready"))
    assert third.stop() == 0
    assert {change.level for change in lines.of("ready")} == {False, True}
