"""Lines that vanish or are taken, a process that is killed or stands still, a full disk, a clock that is set."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from edge.frame import Image
from tests.hil.inside.chip import LABEL, Chip
from tests.hil.inside.conveyor import Conveyor
from tests.hil.inside.inspector import Inspector
from tests.hil.inside.line_watch import LineWatch
from tests.hil.inside.station import AT_THE_ARM_S, DELAY_MS, MS, PULSE_MS, TICK_MS, free, triggered
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
        inspector.until("a verdict", lambda: inspector.verdicts)
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
    records = last.records()
    assert set(ids) <= set(records), "a part that was told in the log has no record"
    assert all(one["action"] is not None and one["outcome"] is not None for one in records.values())
    assert [one["action"] for one in records.values() if one["trigger_ns"] in {r["trigger_ns"] for r in records.values()}][
        -1
    ] == "passed"


def test_a_process_that_stands_still_loses_its_heartbeat_and_its_parts(
    camera: VirtualCamera, chip: Chip, lines: LineWatch, inspect: Start, conveyor: Conveyor
) -> None:
    inspector = inspect(triggered(), "--camera", camera.number)
    inspector.until("READY", lambda: chip.level("ready"))
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
    records = list(inspector.records().values())
    assert [one["outcome"] for one in records] == ["PASS", "FAULT", "FAULT", "FAULT", "PASS"]
    assert [one["action"] for one in records] == ["passed", "rejected", "rejected", "rejected", "passed"]
    assert stopped_ns < standing_ns


def test_a_process_that_stands_still_while_the_line_says_pass_stops_the_line_when_it_goes_on(
    camera: VirtualCamera, chip: Chip, lines: LineWatch, inspect: Start, conveyor: Conveyor
) -> None:
    """A level that stays is what the heartbeat is for; afterwards the parts that went by are told and the line stands."""
    inspector = inspect(triggered(timing={"between_parts": "pass"}), "--camera", camera.number)
    inspector.until("READY", lambda: chip.level("ready"))
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
    records = list(inspector.records().values())
    assert [(one["outcome"], one["action"]) for one in records] == [("PASS", "passed"), ("FAULT", "late")]


def test_a_full_disk_holds_up_no_part_and_what_was_seen_is_recorded_when_there_is_room(
    camera: VirtualCamera, chip: Chip, lines: LineWatch, inspect: Start, conveyor: Conveyor, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=True)
    try:
        inspector = inspect(triggered(), "--camera", camera.number, "--state", str(disk))
        inspector.until_said("calibrat")
    except ChildProcessError:
        raise
    finally:
        pass
    subprocess.run(["cp", "-a", str(tmp_path / "calibration"), str(disk)], check=False)


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
    records = list(inspector.records().values())
    assert [one["outcome"] for one in records] == ["PASS", "REJECT"] * 3
    assert [one["action"] for one in records] == ["passed", "rejected"] * 3
    walls = [one["wall_ns"] for one in records]
    assert walls[2] < walls[1]
    for record in records:
        begin_ns = record["trigger_ns"] + DELAY_MS * MS
        assert lines.level_at("reject", begin_ns + PULSE_MS // 2 * MS) is (record["outcome"] == "PASS")
