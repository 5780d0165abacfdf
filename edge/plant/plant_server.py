"""The plant's process: every protocol that station.yaml names, each by itself, beside an inspection that waits for none."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from edge.clock import Clock, SystemClock
from edge.live.companion import accompany
from edge.plant.delivery import Delivery
from edge.plant.keep_running import Weaknesses, keep_running
from edge.plant.line_message import LineMessage
from edge.plant.live_feed import LiveFeed
from edge.plant.outbox import Outbox
from edge.plant.plant_config import CONFIG, PlantConfig
from edge.plant.told_place import ToldPlace
from edge.records import part_records

FOLDER = "plant"
QUIET = ("paho", "pymodbus", "asyncua", "httpx", "httpcore", "asyncio")
"""What these say of a peer that is away or talks rubbish would fill the journal; we say it once, in one line."""

Run = Callable[[Callable[[], None]], Awaitable[None]]


class Plant:
    """The protocols of ``config`` for the inspection of ``state``; first_part_id: of the run."""

    def __init__(self, config: PlantConfig, state: Path, first_part_id: int, weaknesses: Weaknesses, clock: Clock) -> None:
        self._config, self._state, self._first, self._weaknesses, self._clock = config, state, first_part_id, weaknesses, clock
        self._live = LiveFeed(state, clock)
        self._deliveries: dict[str, Delivery] = {}

    async def run(self) -> None:
        """Until cancelled."""
        protocols = {"inspection": self._live.run, **self._protocols()}
        await asyncio.gather(*(keep_running(name, run, self._weaknesses, self._clock) for name, run in protocols.items()))

    def _protocols(self) -> dict[str, Run]:
        config, found = self._config, dict[str, Run]()
        if (mqtt := config.mqtt) is not None:
            from edge.plant.mqtt_client import MqttClient

            found["mqtt"] = self._delivering("mqtt", lambda one: MqttClient(mqtt, one, self._line).run)
        if (modbus := config.modbus) is not None:
            from edge.plant.modbus_server import ModbusServer
            from edge.plant.plc_handshake import PlcHandshake

            def serve_plc(delivery: Delivery) -> Run:
                weaken = self._weaknesses.set
                plc = PlcHandshake(self._state, delivery, modbus.acknowledge, lambda: self._live.status, weaken, self._clock)
                return ModbusServer(modbus, delivery, plc).run

            found["modbus"] = self._delivering("modbus", serve_plc)
        if (opcua := config.opcua) is not None:
            from edge.plant.opcua_server import OpcUaServer

            found["opcua"] = self._delivering("opcua", lambda one: OpcUaServer(opcua, one, lambda: self._live.status).run)
        if (webhook := config.webhook) is not None:
            from edge.plant.webhook import Webhook

            hook = Webhook(webhook, self._weaknesses.set)  # one for all attempts: it counts refusals
            found["webhook"] = self._delivering("webhook", lambda one: partial(hook.run, one))
        if config.metrics is not None:
            from edge.plant.metrics import MetricsServer

            found["metrics"] = MetricsServer(
                config.metrics, lambda: self._live.status, lambda: self._weaknesses.reasons, self._deliveries
            ).run
        return found

    def _delivering(self, name: str, make: Callable[[Delivery], Run]) -> Run:
        async def run(up: Callable[[], None]) -> None:
            outbox = Outbox(self._state / part_records.FOLDER / part_records.FILE, self._first)
            try:
                told = ToldPlace(self._state / FOLDER / f"{name}.sqlite", outbox.begin(), self._clock)
                try:
                    delivery = Delivery(outbox, told, lambda why: self._weaknesses.set(f"{name} place", why))
                    self._deliveries[name] = delivery
                    await make(delivery)(up)
                finally:
                    told.close()
            finally:
                outbox.close()

        return run

    def _line(self) -> LineMessage:
        return LineMessage.of(self._live.status)


async def serve(config: PlantConfig, state: Path, first_part_id: int) -> None:
    """Until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    running = asyncio.ensure_future(Plant(config, state, first_part_id, Weaknesses(), SystemClock()).run())
    waiting = asyncio.ensure_future(stopped.wait())
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        await running  # raises why
    for task in (running, waiting):
        task.cancel()
    await asyncio.gather(running, waiting, return_exceptions=True)


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(
        "edge-plant", description=__doc__, epilog=f"`plant:` of the station file is in ${CONFIG}, as JSON."
    )
    parser.add_argument("state", type=Path, help="the state folder of the inspection")
    parser.add_argument("first_part_id", type=int, help="of the inspection's run")
    options = parser.parse_args(arguments)
    accompany()
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    asyncio.run(serve(PlantConfig.model_validate_json(os.environ[CONFIG]), options.state, options.first_part_id))
    return 0


if __name__ == "__main__":
    sys.exit(main())
