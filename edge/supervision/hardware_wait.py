"""A start that waits for hardware, or a calibration, that is not there yet."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from edge.clock import Clock
from edge.errors import CameraOpenError, LineOpenError, NotCalibratedError
from edge.supervision.service_manager import ServiceManager

RETRY_NS = 1_000_000_000
START_SPARE_S = 60
"""A start that waits asks the service manager for so much more time, again and again."""
Opened = TypeVar("Opened")


class StoppedWaitingError(Exception):
    """Told to stop while waiting for hardware."""


class HardwareWait:
    """wanted: as --wait-for-hardware says. say: gets what is waited for, once for each reason."""

    def __init__(
        self, wanted: bool, manager: ServiceManager, stop: threading.Event, clock: Clock, say: Callable[[str], None]
    ) -> None:
        self._wanted, self._manager, self._stop, self._clock, self._say = wanted, manager, stop, clock, say

    def opened(self, attempt: Callable[[], Opened]) -> Opened:
        """``attempt``, where wanted again and again while what it needs is not there yet; raises StoppedWaitingError."""
        told = ""
        while True:
            try:
                return attempt()
            except (CameraOpenError, LineOpenError, NotCalibratedError) as error:
                if not self._wanted:
                    raise
                if str(error) != told:
                    told = str(error)
                    self._say(f"waiting: {told}")
            self._manager.extend_start(START_SPARE_S)
            if self._clock.wait(self._stop, RETRY_NS):
                raise StoppedWaitingError
