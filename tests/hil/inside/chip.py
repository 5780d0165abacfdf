"""A simulated GPIO chip (gpio-sim) with the lines of a whole station: inputs pulled, outputs read, the chip itself taken away."""

from __future__ import annotations

import time
from pathlib import Path

CONFIG = Path("/sys/kernel/config/gpio-sim")
INPUTS = ("eye", "confirm")
OUTPUTS = ("reject", "ready", "ok", "fault", "stop", "heartbeat", "strobe")
LABEL = "line-sim"
SETTLES_S = 0.02
"""Between two toggles: one of the machine's ticks is 10 ms."""


class Chip:
    """There from the start. Nothing is wired but pull-downs: a line that nobody drives is low."""

    def __init__(self) -> None:
        self._folder, self.present = CONFIG / LABEL, False
        bank = self._folder / "bank0"
        bank.mkdir(parents=True)
        (bank / "num_lines").write_text(str(len(INPUTS + OUTPUTS)))
        (bank / "label").write_text(LABEL)
        for offset, name in enumerate(INPUTS + OUTPUTS):
            line = bank / f"line{offset}"
            line.mkdir()
            (line / "name").write_text(name)
        self.put_in()

    def put_in(self) -> None:
        """The chip is there, all inputs low."""
        (self._folder / "live").write_text("1")
        self.present = True
        device = (self._folder / "dev_name").read_text().strip()
        number = (self._folder / "bank0" / "chip_name").read_text().strip()
        self.path = Path("/sys/devices/platform") / device / number

    def take_out(self) -> None:
        """The chip is gone, with whoever held its lines."""
        if self.present:
            self.present = False
            (self._folder / "live").write_text("0")

    def file(self, name: str) -> Path:
        """Where the level of a line is read."""
        return self.path / f"sim_gpio{(INPUTS + OUTPUTS).index(name)}" / "value"

    def level(self, name: str) -> bool:
        """Of any line, now."""
        return self.file(name).read_text().strip() == "1"

    def levels(self) -> dict[str, bool]:
        """Of all outputs."""
        return {name: self.level(name) for name in OUTPUTS}

    def drive(self, name: str, level: bool) -> int:
        """Pull an input; the monotonic time, nanoseconds."""
        at_ns = time.monotonic_ns()
        self.file(name).with_name("pull").write_text("pull-up" if level else "pull-down")
        return at_ns

    def pulse(self, name: str) -> int:
        """Up and down; when it went up."""
        at_ns = self.drive(name, True)
        time.sleep(SETTLES_S)
        self.drive(name, False)
        return at_ns

    def close(self) -> None:
        """Gone for good."""
        self.take_out()
        bank = self._folder / "bank0"
        for offset in range(len(INPUTS + OUTPUTS)):
            (bank / f"line{offset}").rmdir()
        bank.rmdir()
        self._folder.rmdir()
