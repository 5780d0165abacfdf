"""The newest status of the inspection, for all protocols; one question at a time, and never asked by the loop they share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from edge.clock import Clock
from edge.errors import NotRunningError
from edge.live.live_reader import LiveReader
from edge.live.live_status import LiveStatus

ASK_S = 0.25


class LiveFeed:
    """``status`` is None while no inspection answers."""

    def __init__(self, state: Path, clock: Clock) -> None:
        self._reader = LiveReader(state, clock)
        self.status: LiveStatus | None = None

    async def run(self, up: Callable[[], None]) -> None:
        """Ask until cancelled, or no inspection answers: raises NotRunningError."""
        try:
            while True:
                self.status = await asyncio.to_thread(self._reader.status)
                up()
                await asyncio.sleep(ASK_S)
        except NotRunningError:
            self.status = None
            raise
        finally:
            self._reader.close()
