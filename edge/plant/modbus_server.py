"""A Modbus TCP server that lets a PLC read and write the register map; one address space for all reading functions."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edge.errors import PlantError
from edge.plant.delivery import Delivery
from edge.plant.plant_config import ModbusConfig
from edge.plant.plc_handshake import PlcHandshake
from edge.plant.register_map import LENGTH, REGISTERS

if TYPE_CHECKING:
    from pymodbus.constants import ExcCodes
    from pymodbus.server import ModbusTcpServer

MOST_PEERS = 16
KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""A peer that is gone without a word is dropped after a minute."""
WRITTEN = {one.address: one.name for one in REGISTERS if one.writable}


class ModbusServer:
    """Serves ``handshake`` where ``config`` says. ``port`` is the one it listens at."""

    def __init__(self, config: ModbusConfig, delivery: Delivery, handshake: PlcHandshake) -> None:
        self._config, self._delivery, self._handshake = config, delivery, handshake
        self._peers: set[Any] = set()
        self.port = 0

    async def run(self, up: Callable[[], None]) -> None:
        """Until cancelled; raises PlantError where it cannot listen, and RecordsError."""
        server = self._server()
        where = f"{self._config.address}:{self._config.port}"
        try:
            try:
                await server.serve_forever(background=True)
            except (RuntimeError, OSError) as error:
                raise PlantError(
                    f"{where}: cannot serve Modbus there; is the port free, the address of this machine, and below 1024 allowed?"
                ) from error
            listening: Any = server.transport
            self.port = listening.sockets[0].getsockname()[1]
            up()
            await self._delivery.run(self._handshake.tell)
        finally:
            self._handshake.close()
            for peer in list(self._peers):
                peer.abort()
            await server.shutdown()  # type: ignore[no-untyped-call]

    def _server(self) -> ModbusTcpServer:
        try:
            from pymodbus.server import ModbusTcpServer
            from pymodbus.server.requesthandler import ServerRequestHandler
            from pymodbus.simulator import DataType, SimData, SimDevice
        except ImportError as error:
            raise PlantError("expected the package pymodbus, it is not installed; pip install 'edge-inspect[plant]'") from error
        peers, welcome = self._peers, self._welcome

        class Handler(ServerRequestHandler):
            def connection_made(self, transport: Any) -> None:
                if not welcome(transport):
                    transport.abort()
                    return
                peers.add(transport)
                super().connection_made(transport)

            def connection_lost(self, reason: Exception | None) -> None:
                if self.transport is not None:
                    peers.discard(self.transport)
                    super().connection_lost(reason)

        class Server(ModbusTcpServer):
            def callback_new_connection(self) -> Handler:
                return Handler(self, self.trace_packet, self.trace_pdu, self.trace_connect)  # type: ignore[no-untyped-call]

        data = [
            SimData(address, datatype=DataType.REGISTERS, readonly=address not in WRITTEN) for address in range(LENGTH)
        ]  # one by one, since only some can be written
        device = SimDevice(0, simdata=data, action=self._access)
        return Server(device, address=(self._config.address, self._config.port))

    def _welcome(self, transport: asyncio.BaseTransport) -> bool:
        name = transport.get_extra_info("peername")
        if name is None or len(self._peers) >= MOST_PEERS or (self._config.allow and name[0] not in self._config.allow):
            return False
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE.items():
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        return True

    async def _access(
        self, _function: int, _first: int, address: int, _count: int, registers: list[int], written: list[Any] | None
    ) -> ExcCodes | None:
        """pymodbus asks before it reads or writes ``registers``, in one go with it: what a PLC reads at once is of one moment."""
        if written is None:
            registers[:LENGTH] = self._handshake.registers()
            return None
        for offset, value in enumerate(written):
            await self._handshake.write(WRITTEN[address + offset], int(value))
        return None
