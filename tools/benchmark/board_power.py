"""What the board draws, by its own INA3221 monitors, which Linux shows under hwmon; where there are none, nothing is reported."""

from __future__ import annotations

from pathlib import Path

DRIVER = Path("/sys/bus/i2c/drivers/ina3221")
TOTALS = ("VDD_IN", "VIN")
"""Rails that everything goes through; a board without one (AGX Orin) feeds its rails side by side, and they are summed."""


class BoardPower:
    """The rails found below ``driver``: hwmon's inN_label, inN_input in mV and currN_input in mA (Linux, hwmon/ina3221)."""

    def __init__(self, driver: Path = DRIVER) -> None:
        rails: dict[str, tuple[Path, Path]] = {}
        for label in sorted(driver.glob("*/hwmon/hwmon*/in*_label")):
            number = label.name.removeprefix("in").removesuffix("_label")
            voltage, current = label.with_name(f"in{number}_input"), label.with_name(f"curr{number}_input")
            name = _text(label)
            if name and voltage.is_file() and current.is_file():  # the sum of shunt voltages has no current
                rails[name] = (voltage, current)
        total = next((name for name in TOTALS if name in rails), None)
        self._rails = {total: rails[total]} if total else rails

    @property
    def rails(self) -> list[str]:
        """Names of the rails that ``watts`` sums; empty where the board reports none."""
        return list(self._rails)

    def watts(self) -> float | None:
        """Now; None where no rail is reported, or one cannot be read."""
        milliwatts = 0.0
        for voltage, current in self._rails.values():
            try:
                milliwatts += int(_text(voltage)) * int(_text(current)) / 1000
            except ValueError:
                return None
        return milliwatts / 1000 if self._rails else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
