"""HTTP connections that end when the other side keeps the server waiting: a request that drips in, an answer that is not taken."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

TICK_S = 5.0
REQUEST_S = 15.0
"""The whole head of a request must be there by then; also for how long a connection may be idle."""
SEND_S = 20.0
"""What is to be sent must get on within that time: the first 64 KiB of it, or all where it is the last."""


class PatientProtocol(H11Protocol):
    """As uvicorn has it, and looks every five seconds whether it is being kept waiting."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to look."""
        super().connection_made(transport)
        self._waiting_since: float | None = self.loop.time()
        self._stuck_since: float | None = None
        self._tick_handle = self.loop.call_later(TICK_S, self._tick)

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no more."""
        self._tick_handle.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The other side takes nothing at the moment."""
        self._stuck_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """It does again."""
        self._stuck_since = None
        super().resume_writing()

    def _tick(self) -> None:
        now = self.loop.time()
        answering: Any = self.cycle is not None and not self.cycle.response_complete
        self._waiting_since = None if answering else (self._waiting_since or now)
        if self.transport.is_closing() and self._stuck_since is None:
            self._stuck_since = now
        late = self._waiting_since is not None and now - self._waiting_since > REQUEST_S
        stuck = self._stuck_since is not None and now - self._stuck_since > SEND_S
        if late or stuck:
            self.transport.abort()
            return
        self._tick_handle = self.loop.call_later(TICK_S, self._tick)
