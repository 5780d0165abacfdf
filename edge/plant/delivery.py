"""Parts to one protocol: every one, in order, as soon as it is done, and again from where it was when the peer was away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from edge.errors import OutputError
from edge.plant.outbox import Outbox
from edge.plant.part_result import PartResult
from edge.plant.told_place import ToldPlace

LOOK_S = 0.02
"""Between two looks whether there is news in the records; one costs some microseconds."""
BATCH = 64
Tell = Callable[[Sequence[PartResult]], Awaitable[None]]
"""Hands parts to the peer, and moves the delivery's ``told`` for each that the peer has, in order; raises where it is away."""


class Delivery:
    """From ``outbox`` to a peer; ``told`` is how far it came. weaken: gets why that cannot be kept, empty when it can again."""

    def __init__(self, outbox: Outbox, told: ToldPlace, weaken: Callable[[str], None]) -> None:
        self.outbox, self.told, self._weaken = outbox, told, weaken

    async def run(self, tell: Tell) -> None:
        """Until cancelled, or ``tell`` raises; then it can be called again. Raises RecordsError."""
        try:
            while True:
                parts = self.outbox.after(self.told.place, BATCH)
                if parts:
                    await asyncio.to_thread(self.outbox.sync)
                    await tell(parts)
                while not parts and not self.outbox.news():
                    await asyncio.sleep(LOOK_S)
                    if self.told.due:
                        break
                if self.told.due:
                    await asyncio.to_thread(self._sync)
        finally:
            self._sync()

    def waiting(self) -> int:
        """About how many parts the peer has not been told."""
        return self.outbox.waiting(self.told.place)

    def _sync(self) -> None:
        try:
            self.told.sync()
        except OutputError as error:  # the peer is told all the same, and some parts again after a crash
            self._weaken(f"{error}; after a crash the plant may be told parts again")
        else:
            self._weaken("")
