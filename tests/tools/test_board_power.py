from __future__ import annotations

from pathlib import Path

import pytest

from tools.benchmark.board_power import BoardPower


def write_rail(driver: Path, monitor: str, number: int, label: str, millivolts: int, milliamperes: int | None) -> None:
    hwmon = driver / monitor / "hwmon" / "hwmon3"
    hwmon.mkdir(parents=True, exist_ok=True)
    (hwmon / f"in{number}_label").write_text(f"{label}\n")
    (hwmon / f"in{number}_input").write_text(f"{millivolts}\n")
    if milliamperes is not None:
        (hwmon / f"curr{number}_input").write_text(f"{milliamperes}\n")


def test_the_rail_that_everything_goes_through_is_the_boards_power(tmp_path: Path) -> None:
    write_rail(tmp_path, "1-0040", 1, "VDD_IN", 5000, 1200)
    write_rail(tmp_path, "1-0040", 2, "VDD_CPU_GPU_CV", 5000, 400)
    write_rail(tmp_path, "1-0040", 3, "VDD_SOC", 5000, 300)
    write_rail(tmp_path, "1-0040", 7, "sum of shunt voltages", 12, None)
    power = BoardPower(tmp_path)
    assert power.rails == ["VDD_IN"]
    assert power.watts() == pytest.approx(6.0)


def test_rails_side_by_side_are_summed_over_all_monitors(tmp_path: Path) -> None:
    write_rail(tmp_path, "1-0040", 1, "VDD_GPU_SOC", 20000, 500)
    write_rail(tmp_path, "1-0040", 2, "VDD_CPU_CV", 20000, 100)
    write_rail(tmp_path, "1-0041", 2, "VDDQ_VDD2_1V8AO", 5000, 200)
    write_rail(tmp_path, "1-0041", 7, "sum of shunt voltages", 12, None)
    power = BoardPower(tmp_path)
    assert sorted(power.rails) == ["VDDQ_VDD2_1V8AO", "VDD_CPU_CV", "VDD_GPU_SOC"]
    assert power.watts() == pytest.approx(10.0 + 2.0 + 1.0)


def test_the_figure_is_read_anew_each_time(tmp_path: Path) -> None:
    write_rail(tmp_path, "1-0040", 1, "VDD_IN", 5000, 1000)
    power = BoardPower(tmp_path)
    assert power.watts() == pytest.approx(5.0)
    write_rail(tmp_path, "1-0040", 1, "VDD_IN", 5000, 2000)
    assert power.watts() == pytest.approx(10.0)


@pytest.mark.parametrize("fault", ["torn", "gone"])
def test_half_of_the_rails_is_not_taken_for_all(tmp_path: Path, fault: str) -> None:
    write_rail(tmp_path, "1-0040", 1, "VDD_GPU_SOC", 20000, 500)
    write_rail(tmp_path, "1-0040", 2, "VDD_CPU_CV", 20000, 100)
    power = BoardPower(tmp_path)
    current = tmp_path / "1-0040" / "hwmon" / "hwmon3" / "curr2_input"
    current.write_text("") if fault == "torn" else current.unlink()
    assert power.watts() is None


def test_a_machine_without_monitors_reports_nothing(tmp_path: Path) -> None:
    power = BoardPower(tmp_path / "absent")
    assert power.rails == []
    assert power.watts() is None
