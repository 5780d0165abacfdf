"""A real output through the kernel's character device, with libgpiod 2."""

from __future__ import annotations

from edge.errors import LineError
from edge.gpio.base import OutputLine
from edge.gpio.board_pins import line_address
from edge.gpio.gpiod_chips import CONSUMER, find_line, import_gpiod, refused
from edge.line.line_config import LineConfig


class GpiodLine(OutputLine):
    """Requests ``config``'s line as an output holding ``safe``; raises LineOpenError saying what is there instead."""

    def __init__(self, name: str, config: LineConfig, safe: bool) -> None:
        super().__init__(f"{name} line ({config.describe()})", safe)
        gpiod = import_gpiod()
        self._values = {True: gpiod.line.Value.ACTIVE, False: gpiod.line.Value.INACTIVE}
        found = find_line(gpiod, line_address(config, self.name, output=True), self.name)
        self._offset = found.offset
        settings = gpiod.LineSettings(
            direction=gpiod.line.Direction.OUTPUT, output_value=self._values[safe], active_low=config.active == "low"
        )
        try:
            self._request = gpiod.request_lines(found.path, consumer=CONSUMER, config={self._offset: settings})
        except OSError as error:
            raise refused(self.name, found.user, error) from error

    def _set_impl(self, value: bool) -> None:
        try:
            self._request.set_value(self._offset, self._values[value])
        except OSError as error:
            raise LineError(f"{self.name}: cannot be driven: {error.strerror}; is its chip still there?") from error

    def _close_impl(self) -> None:
        self._request.release()
