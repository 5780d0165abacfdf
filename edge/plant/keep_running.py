"""Protocols that fail by themselves: each is told as a weakness in one line, and tried again, while the others go on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

from edge.clock import Clock
from edge.errors import EdgeInspectError
from edge.live.companion import tell_weaknesses
from edge.supervision.backoff import Backoff

FIRST_MS, LONGEST_MS, STEADY_MS = 500, 15_000, 30_000


class Weaknesses:
    """What is not as it should be now, by name; each change goes to ``tell``, and for people to ``say``."""

    def __init__(
        self,
        tell: Callable[[dict[str, str]], None] = tell_weaknesses,
        say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),
    ) -> None:
        self._tell, self._say = tell, say
        self.reasons: dict[str, str] = {}

    def set(self, what: str, reason: str) -> None:
        """``reason`` is why ``what`` is not right; empty when it is."""
        reason = " ".join(reason.split())
        before = self.reasons.get(what, "")
        if reason == before:
            return
        self.reasons[what] = reason
        self._tell(dict(self.reasons))
        if not before or not reason:  # another reason for the same is no news for people
            self._say(f"plant {what}: {reason or 'works again'}")


async def together(*running: Awaitable[None]) -> None:
    """All at once, until one fails, which is raised, or it is cancelled; then none goes on."""
    tasks = [asyncio.ensure_future(one) for one in running]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    raise next(one for one in results if isinstance(one, Exception))


async def keep_running(
    what: str, run: Callable[[Callable[[], None]], Awaitable[None]], weaknesses: Weaknesses, clock: Clock
) -> None:
    """``run(up)`` again and again, after a while where it failed, until cancelled. It calls ``up`` when it works."""
    backoff = Backoff(FIRST_MS, LONGEST_MS, STEADY_MS)

    def up() -> None:
        backoff.opened(clock.monotonic_ns())
        weaknesses.set(what, "")

    while True:
        try:
            await run(up)
            reason = "ended by itself"
        except Exception as error:  # whatever it is, it must not end what else runs here
            known = isinstance(error, EdgeInspectError | OSError)
            reason = str(error) if known else f"unexpected {type(error).__name__}: {error}"
        weaknesses.set(what, reason)
        await asyncio.sleep(backoff.failed(clock.monotonic_ns()) / 1e9)
