"""A real line through the kernel's character device, with libgpiod 2. Chips are found by label, lines by name."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

from edge.errors import LineError, LineOpenError
from edge.gpio.base import OutputLine
from edge.station_config import LineConfig

CONSUMER = "edge-inspect"


class GpiodLine(OutputLine):
    """Requests ``config``'s line as an output holding ``safe``; raises LineOpenError saying what is there instead."""

    def __init__(self, name: str, config: LineConfig, safe: bool) -> None:
        super().__init__(f"{name} line ({config.chip} {config.line})", safe)
        gpiod = _gpiod()
        self._values = {True: gpiod.line.Value.ACTIVE, False: gpiod.line.Value.INACTIVE}
        path = _find_chip(gpiod, config.chip, self.name)
        with gpiod.Chip(path) as chip:
            try:
                self._offset = chip.line_offset_from_id(config.line)
                info = chip.get_line_info(self._offset)
            except (OSError, ValueError) as error:
                raise LineOpenError(
                    f"{self.name}: {path} has no such line ({chip.get_info().num_lines} lines); list them with `gpioinfo`"
                ) from error
        settings = gpiod.LineSettings(
            direction=gpiod.line.Direction.OUTPUT, output_value=self._values[safe], active_low=config.active == "low"
        )
        try:
            self._request = gpiod.request_lines(path, consumer=CONSUMER, config={self._offset: settings})
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise LineOpenError(f"{self.name}: is in use by {info.consumer or 'the kernel'!r}; stop that program") from error
            raise LineOpenError(f"{self.name}: cannot be requested: {error.strerror}; check its permissions and pin mux") from error

    def _set_impl(self, value: bool) -> None:
        try:
            self._request.set_value(self._offset, self._values[value])
        except OSError as error:
            raise LineError(f"{self.name}: cannot be driven: {error.strerror}; is its chip still there?") from error

    def _close_impl(self) -> None:
        self._request.release()


def _gpiod() -> Any:
    try:
        import gpiod
    except ImportError as error:
        raise LineOpenError("gpiod (libgpiod ≥ 2) is not installed; run: pip install 'edge-inspect[gpio]'") from error
    if not hasattr(gpiod, "request_lines"):
        raise LineOpenError("the installed gpiod is the old API (1.x); run: pip install 'gpiod>=2'")
    return gpiod


def _find_chip(gpiod: Any, wanted: str, line: str) -> str:
    found = []
    for path in sorted(Path("/dev").glob("gpiochip*")):
        try:
            with gpiod.Chip(str(path)) as chip:
                info = chip.get_info()
        except PermissionError as error:
            raise LineOpenError(f"{line}: no permission for {path}; add this user to the group `gpio`") from error
        except OSError:
            continue  # a chip that goes away while we look is not the one we want
        if wanted in (str(path), info.name, info.label):
            return str(path)
        found.append(f"{info.label} ({path})")
    raise LineOpenError(f"{line}: there is no GPIO chip {wanted!r}; present: {', '.join(found) or 'none'}")
