"""What a PLC and the inspection say to each other in turn: triggers by number, results one at a time. No network in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from edge.clock import Clock
from edge.errors import LineError, LineOpenError, RecordsError
from edge.live.live_status import LiveStatus
from edge.plant.delivery import Delivery
from edge.plant.part_result import PartResult
from edge.plant.register_map import FLAGS, encode, line_values, result_values, sequence
from edge.triggers.software import SOCKET, TriggerSender

SILENT_NS = 60_000_000_000
"""A result that waits longer for its acknowledgement is told as a weakness."""
LOOK_S = 5.0


class PlcHandshake:
    """``registers`` is what the PLC reads now; ``write`` what it writes. For the plant's loop.

    Numbers, not edges: one that is written again, because an answer was lost or a PLC writes all it has in every cycle, is no
    second trigger and no second acknowledgement. A number that is found there when the plant starts is no trigger until 0 was
    written once. weaken: gets what is not as it should be, by name, and empty when it is again.
    """

    def __init__(
        self,
        state: Path,
        delivery: Delivery,
        acknowledge: bool,
        status: Callable[[], LiveStatus | None],
        weaken: Callable[[str, str], None],
        clock: Clock,
    ) -> None:
        self._socket, self._delivery, self._acknowledge, self._status = state / SOCKET, delivery, acknowledge, status
        self._weaken, self._clock = weaken, clock
        self._sender: TriggerSender | None = None
        self._sending = asyncio.Lock()
        self._armed = False
        self._number = self._taken = self._refused = self._acknowledged = 0
        self._shown: PartResult | None = None
        self._changed = asyncio.Event()

    def registers(self) -> list[int]:
        """All of the map."""
        values = line_values(self._status())
        bits = {"result": self._shown is not None, "armed": self._armed}
        values["flags"] = int(values.get("flags", 0)) | sum(bit << FLAGS.index(name) for name, bit in bits.items())
        try:
            waiting = self._delivery.waiting()
        except RecordsError:
            waiting = 0
        return encode(
            values
            | result_values(self._shown)
            | {
                "trigger": self._number,
                "acknowledge": self._acknowledged,
                "trigger_taken": self._taken,
                "trigger_refused": self._refused,
                "waiting": waiting,
            }
        )

    async def write(self, name: str, value: int) -> None:
        """The PLC wrote ``value`` to the register ``name``."""
        if name == "acknowledge":
            self._acknowledged = value
            self._changed.set()
        elif name == "trigger":
            await self._trigger(value)

    async def tell(self, parts: Sequence[PartResult]) -> None:
        """Show one after the other, each until it is acknowledged where that is wanted."""
        for part in parts:
            self._shown = part
            if self._acknowledge:
                await self._until_acknowledged(part)
            self._delivery.told.move(part.place)
            if self._acknowledge:
                self._shown = None

    def close(self) -> None:
        """May be called twice."""
        if self._sender is not None:
            self._sender.close()
            self._sender = None

    async def _until_acknowledged(self, part: PartResult) -> None:
        since, told = self._clock.monotonic_ns(), False
        while self._acknowledged != sequence(part):
            self._changed.clear()
            waiter = asyncio.ensure_future(self._changed.wait())
            try:
                await asyncio.wait([waiter], timeout=LOOK_S)
            finally:
                waiter.cancel()
            if not told and self._clock.monotonic_ns() - since > SILENT_NS:
                told = True
                self._weaken(
                    "modbus acknowledge", f"the PLC has not acknowledged part {part.part_id} for a minute; look at the PLC"
                )
        self._weaken("modbus acknowledge", "")

    async def _trigger(self, number: int) -> None:
        before, self._number = self._number, number
        if number == 0:
            self._armed = True
        if number in (0, before) or not self._armed:
            return
        async with self._sending:
            try:
                await asyncio.to_thread(self._send)
            except (LineError, LineOpenError) as error:
                self.close()
                self._refused = number
                self._weaken("modbus trigger", f"trigger {number} of the PLC was lost: {error}")
            else:
                self._taken = number
                self._weaken("modbus trigger", "")

    def _send(self) -> None:
        if self._sender is not None:
            try:
                self._sender.send()
                return
            except LineError:  # the inspection may have been started again: once more, on a socket of today
                self._sender.close()
        self._sender = TriggerSender(self._socket)
        self._sender.send()
