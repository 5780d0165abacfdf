"""Lines that vanish or are taken, a process that is killed or stands still, a full disk, a clock that is set."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from edge.frame import Image
from tests.hil.inside.chip import LABEL, Chip
from tests.hil.inside.conveyor import Conveyor, assert_accounted_for
from tests.hil.inside.inspector import Inspector, records
from tests.hil.inside.line_watch import LineWatch
from tests.hil.inside.station import AT_THE_ARM_S, MS, TICK_MS, free, triggered
from tests.hil.inside.virtual_camera import VirtualCamera

Start = Callable[..., Inspector]


def test_a_gpio_chip_that_vanishes_ends_the_run_and_the_next_start_waits_for_it(
    camera: VirtualCamera, chip: Chip, lines: LineWatch, inspect: Start, bad: list[Image]
) -> None:
    inspector = inspect(free(), "--camera", camera.number)
    inspector.until("pass", lambda: chip.level("reject"))
    chip.take_out()
    assert inspector.wait(15) != 0  # the service manager starts it anew
    assert "is its chip still there?" in inspector.said()
    again = inspect(free(), "--camera", camera.number, "--wait-for-hardware")
    again.until_said("waiting: reject line")
    chip.put_in()
    again.until("pass", lambda: chip.level("reject"))
    assert again.stop() == 0


def test_a_gpio_chip_that_vanishes_between_parts_ends_the_run_too(
    camera: VirtualCamera, chip: Chip, inspect: Start, conveyor: Conveyor
) -> None:
    inspector = inspect(triggered(), "--camera", camera.number)
    inspector.until("READY", lambda: chip.level("ready"))
    conveyor.run([True])
    inspector.until_judged(1)
    time.sleep(AT_THE_ARM_S)
    chip.take_out()
    code = inspector.wait(15)
    chip.put_in()
    assert code != 0
    assert not any(chip.levels().values())


def test_a_line_that_another_program_holds_is_named(camera: VirtualCamera, chip: Chip, inspect: Start) -> None:
    holding = (
        "import gpiod, sys; from gpiod.line import Direction, Value; "
        f"r = gpiod.request_lines('/dev/{chip.path.name}', consumer='other', "
        "config={'ready': gpiod.LineSettings(direction=Direction.OUTPUT, output_value=Value.INACTIVE)}); "
        "print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen([sys.executable, "-c", holding], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    refused = inspect(free(), "--camera", camera.number)
    assert refused.wait() == 2
    assert f"ready line ({LABEL} ready): is in use by 'other'" in refused.said()
    assert not any(chip.levels().values())
    waiting = inspect(free(), "--camera", camera.number, "--wait-for-hardware")
    waiting.until_said("is in use by 'other'")
    other.communicate()
    waiting.until("READY", lambda: chip.level("ready"))
    assert waiting.stop() == 0


def test_killed_with_parts_in_flight_the_line_falls_to_reject_and_every_part_is_accounted_for(
    camera: VirtualCamera, chip: Chip, lines: LineWatch, inspect: Start, conveyor: Conveyor
) -> None:
    ids: list[int] = []
    for _ in range(2):
        inspector = inspect(triggered(timing={"between_parts": "pass"}), "--camera", camera.number)
        inspector.until("READY", lambda: chip.level("ready"))
        conveyor.run([True, True, False, True])
        inspector.until_judged(1)
        killed_ns = inspector.kill()
        for name in ("reject", "ready", "ok", "stop", "fault"):
            if lines.of(name)[-1].level or lines.of(name)[-1].at_ns > killed_ns:
                fell = lines.wait_for(name, False, killed_ns, 2)
                assert fell.before_ns - killed_ns <= TICK_MS * MS + lines.stalled_ns(killed_ns, fell.at_ns)
        time.sleep(AT_THE_ARM_S)
        assert not any(chip.levels().values())
        ids += [one["part_id"] for one in inspector.verdicts]
    last = inspect(triggered(), "--camera", camera.number)
    last.until("READY", lambda: chip.level("ready"))
    assert "in flight when the last run ended" in last.said()
    conveyor.run([True])
    last.until_judged(1)
    time.sleep(AT_THE_ARM_S)
    assert last.stop() == 0
    ids += [one["part_id"] for one in last.verdicts]
    assert len(set(ids)) == len(ids), "two parts have the same number"
    found = last.records()
    assert set(ids) <= set(found), "a part that was told in the log has no record"
    assert all(one["action"] is not None and one["outcome"] is not None for one in found.values())
    print(len(ids), "told", len(found), "recorded")
    assert found[max(found)]["action"] == "passed" or lines.stalled_ns(conveyor.came[-1][1], time.monotonic_ns())


def test_a_process_that_stands_still_loses_its_heartbeat_and_its_parts(
    camera: VirtualCamera, chip: Chip, lines: LineWatch, inspect: Start, conveyor: Conveyor
) -> None:
    inspector = inspect(triggered(), "--camera", camera.number)
    inspector.until("READY", lambda: chip.level("ready"))
    with lines.unless_held_up():
        conveyor.run([True])
        time.sleep(AT_THE_ARM_S)
        stopped_ns = inspector.pause()
        time.sleep(0.2)
        standing_ns = time.monotonic_ns()
        conveyor.run([True, False, True])
        time.sleep(1.5)
        assert lines.of("heartbeat", standing_ns) == []
        assert lines.of("reject", standing_ns) == []
        went_on_ns = time.monotonic_ns()
        inspector.go_on()
        inspector.until_judged(4)
        lines.wait_for("heartbeat", True, went_on_ns, 5)
        conveyor.run([True])
        time.sleep(AT_THE_ARM_S)
        assert inspector.stop() == 0
        found = list(inspector.records().values())
        assert [one["outcome"] for one in found] == ["PASS", "FAULT", "FAULT", "FAULT", "PASS"]
        assert [one["action"] for one in found] == ["passed", "rejected", "rejected", "rejected", "passed"]
        assert stopped_ns < standing_ns


def test_a_process_that_stands_still_while_the_line_says_pass_stops_the_line_when_it_goes_on(
    camera: VirtualCamera, chip: Chip, lines: LineWatch, inspect: Start, conveyor: Conveyor
) -> None:
    """A level that stays is what the heartbeat is for; afterwards the parts that went by are told and the line stands."""
    inspector = inspect(triggered(timing={"between_parts": "pass"}), "--camera", camera.number)
    inspector.until("READY", lambda: chip.level("ready"))
    with lines.unless_held_up():
        conveyor.run([True])
        time.sleep(AT_THE_ARM_S)
        inspector.pause()
        conveyor.run([False])
        time.sleep(AT_THE_ARM_S + 0.5)
        assert chip.level("reject")
        inspector.go_on()
        lines.wait_for("stop", False, conveyor.came[-1][1], 5)
        inspector.until_judged(2)
        assert inspector.stop() == 0
        found = list(inspector.records().values())
        assert [(one["outcome"], one["action"]) for one in found] == [("PASS", "passed"), ("FAULT", "late")]


def test_a_full_disk_holds_up_no_part_and_what_was_seen_is_recorded_when_there_is_room(
    camera: VirtualCamera, chip: Chip, lines: LineWatch, inspect: Start, conveyor: Conveyor, folder: Path
) -> None:
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], check=True)
    try:
        shutil.copytree(folder / "calibration", disk / "calibration", symlinks=True)
        inspector = inspect(triggered(), "--camera", camera.number, "--state", str(disk))
        inspector.until("READY", lambda: chip.level("ready"))
        ballast = disk / "ballast"
        with suppress(OSError), open(ballast, "wb", buffering=0) as full:
            while True:
                full.write(bytes(4096))
        conveyor.run([True, False] * 10)
        inspector.until_said("part records: cannot be written")
        inspector.until_judged(20)
        time.sleep(AT_THE_ARM_S)
        assert chip.level("ready")
        assert not chip.level("ok")  # degraded
        ballast.unlink()
        inspector.until_said("part records: is written again")
        conveyor.run([True])
        time.sleep(AT_THE_ARM_S)
        assert inspector.stop() == 0
        assert_accounted_for(records(disk), conveyor.came, lines)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_another_calibration_is_taken_between_two_parts(
    camera: VirtualCamera, chip: Chip, lines: LineWatch, inspect: Start, conveyor: Conveyor, folder: Path
) -> None:
    """Slot 2 takes the bad parts for good ones: each verdict names the one that it was made with."""
    slots = [sys.executable, "-m", "edge.slots.slots_cli"]
    bundle = ["--bundle", str(folder / "bundle")]
    subprocess.run([*slots, "activate", "1", *bundle, "--reason", "test"], check=True, capture_output=True)
    inspector = inspect(triggered(), "--camera", camera.number)
    inspector.until("READY", lambda: chip.level("ready"))
    with lines.unless_held_up():
        conveyor.run([False, False])
        subprocess.run([*slots, "activate", "2", *bundle, "--reason", "test"], check=True, capture_output=True)
        inspector.until("the other calibration", lambda: conveyor.run([False]) or inspector.verdicts[-1]["calibration_serial"] == 2)
        conveyor.run([False, False])
        time.sleep(AT_THE_ARM_S)
        assert inspector.stop() == 0
        found = list(inspector.records().values())
        told = {(one["calibration_serial"], one["outcome"]) for one in found}
        assert told >= {(1, "REJECT"), (2, "PASS")}
        assert not told & {(1, "PASS"), (2, "REJECT")}
        assert [one["calibration_serial"] for one in found] == sorted(one["calibration_serial"] for one in found)
        assert (
            [one["part_id"] for one in inspector.verdicts] == [one["part_id"] for one in found] == list(range(len(conveyor.came)))
        )


def test_a_wall_clock_that_is_set_changes_no_verdict_and_no_pulse(
    camera: VirtualCamera, chip: Chip, lines: LineWatch, inspect: Start, conveyor: Conveyor
) -> None:
    inspector = inspect(triggered(), "--camera", camera.number)
    inspector.until("READY", lambda: chip.level("ready"))
    for seconds in (3600, -7200, 3600):
        time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)
        conveyor.run([True, False])
    time.sleep(AT_THE_ARM_S)
    inspector.until_said("the wall clock was set by")
    assert inspector.stop() == 0
    assert_accounted_for(inspector.records(), conveyor.came, lines)
    found = list(inspector.records().values())
    offsets = [one["wall_ns"] - one["trigger_ns"] for one in found]
    assert max(offsets) - min(offsets) > 3000_000 * MS
