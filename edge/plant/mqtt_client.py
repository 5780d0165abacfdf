"""Parts and the line's state to an MQTT broker. A part counts as told when the broker has acknowledged it (QoS 1)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from edge.errors import PlantError
from edge.plant.delivery import BATCH, Delivery
from edge.plant.keep_running import together
from edge.plant.line_message import OFFLINE, LineMessage
from edge.plant.part_result import PartResult
from edge.plant.plant_config import MqttConfig
from edge.plant.secret_file import secret

if TYPE_CHECKING:
    from paho.mqtt.client import Client
    from paho.mqtt.reasoncodes import ReasonCode

PART, STATE = "part", "state"
CONNECT_S = 5.0
ANSWER_S = 10.0
STATE_S, LOOK_S = 10.0, 0.25
"""The state is told when it changes, and so often with its counts."""
QOS = 1


class MqttClient:
    """Tells the parts of ``delivery`` below ``config.topic``, and what ``line`` says, retained."""

    def __init__(self, config: MqttConfig, delivery: Delivery, line: Callable[[], LineMessage]) -> None:
        self._config, self._delivery, self._line = config, delivery, line
        self._where = f"{config.host}:{config.port or (8883 if config.tls else 1883)}"

    async def run(self, up: Callable[[], None]) -> None:
        """Connect and tell until cancelled; raises PlantError where the broker is away or refuses, and RecordsError."""
        connection = _Connection(self._config, self._where)
        try:
            await connection.open()
            shown = await self._tell_line(connection)
            up()
            tell = self._delivery.run(lambda parts: self._tell(connection, parts))
            await together(connection.lost, self._watch_line(connection, shown), tell)
        finally:
            await connection.close(self._topic(STATE), LineMessage(state=OFFLINE).model_dump_json())

    def _topic(self, name: str) -> str:
        return f"{self._config.topic}/{name}"

    async def _tell(self, connection: _Connection, parts: Sequence[PartResult]) -> None:
        # All on their way at once, and acknowledged in order: what was is told, whatever happens to the others.
        sent = [connection.publish(self._topic(PART), part.model_dump_json(), retain=False) for part in parts]
        try:
            for part, answer in zip(parts, sent, strict=True):
                await connection.answered(answer)
                self._delivery.told.move(part.place)
        finally:
            for answer in sent:
                answer.cancel()

    async def _tell_line(self, connection: _Connection) -> LineMessage:
        line = self._line()
        await connection.answered(connection.publish(self._topic(STATE), line.model_dump_json(), retain=True))
        return line

    async def _watch_line(self, connection: _Connection, shown: LineMessage) -> None:
        waited = 0.0
        while True:
            await asyncio.sleep(LOOK_S)
            waited += LOOK_S
            if waited >= STATE_S or self._line().news_since(shown):
                shown, waited = await self._tell_line(connection), 0.0


class _Connection:
    """One connection. paho's thread serves it; whatever it has to say comes to the loop in the order it happened.

    aiomqtt would be less code, and takes a message that the broker refuses for one that it has.
    """

    def __init__(self, config: MqttConfig, where: str) -> None:
        self._config, self._where = config, where
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self._connected: asyncio.Future[None] = self._loop.create_future()
        self._answers: dict[int, asyncio.Future[None]] = {}
        self._client: Client | None = None

    async def open(self) -> None:
        """Raises PlantError."""
        try:
            client = self._client = await asyncio.to_thread(self._made)
            host, _, port = self._where.rpartition(":")
            await asyncio.to_thread(client.connect, host, int(port), self._config.keepalive_s)
        except (OSError, ValueError) as error:  # a wrong name is a UnicodeError, a refused certificate an SSLError
            why = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else _words(error)
            raise PlantError(f"broker {self._where}: cannot connect: {why}; check host, port, tls and the broker") from error
        client.loop_start()
        if not await _settled(self._connected):
            raise PlantError(f"broker {self._where}: does not answer; is it an MQTT broker?")
        self._connected.result()

    def publish(self, topic: str, payload: str, retain: bool) -> asyncio.Future[None]:
        """Done when the broker has it; raises PlantError where it is gone or refuses."""
        assert self._client is not None
        answer: asyncio.Future[None] = self._loop.create_future()
        info = self._client.publish(topic, payload, QOS, retain)
        if info.rc:
            answer.set_exception(self._gone("is gone"))
        else:
            self._answers[info.mid] = answer  # its answer comes by the loop, and thus later
        return answer

    async def answered(self, answer: asyncio.Future[None]) -> None:
        """Wait for it; raises PlantError where it does not come in time."""
        if not await _settled(answer):
            raise self._gone(f"has not acknowledged a message within {ANSWER_S:g} s")
        answer.result()

    async def close(self, topic: str, last_words: str) -> None:
        """Say goodbye where there is somebody to say it to; whoever is silent is left with the last will."""
        client = self._client
        if client is None:
            return
        if client.is_connected():
            client.publish(topic, last_words, QOS, True)
        client.disconnect()
        try:
            await asyncio.to_thread(client.loop_stop)
        finally:
            for one in (self.lost, self._connected, *self._answers.values()):
                if one.done() and not one.cancelled():
                    one.exception()  # seen, and nobody's business any more
                one.cancel()

    def _made(self) -> Client:
        try:
            from paho.mqtt.client import Client, MQTTv5, MQTTv311
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError as error:
            raise PlantError("expected the package paho-mqtt, it is not installed; pip install 'edge-inspect[plant]'") from error
        config = self._config
        client = Client(
            CallbackAPIVersion.VERSION2, client_id=config.client_id or f"edge-inspect-{socket.gethostname()}"[:64],
            protocol=MQTTv5 if config.version == "5" else MQTTv311, reconnect_on_failure=False,
        )  # fmt: skip
        client.connect_timeout = CONNECT_S
        client.max_inflight_messages_set(BATCH + 1)
        if config.tls:
            context = ssl.create_default_context(cafile=config.ca_file)
            if config.certificate_file is not None:
                context.load_cert_chain(config.certificate_file, config.key_file)
            client.tls_set_context(context)
        if config.username is not None:
            client.username_pw_set(config.username, secret(config.password_file) if config.password_file else None)
        client.will_set(f"{config.topic}/{STATE}", LineMessage(state=OFFLINE).model_dump_json(), QOS, True)
        client.on_connect, client.on_disconnect, client.on_publish = self._on_connect, self._on_disconnect, self._on_publish
        return client

    def _on_connect(self, _client: Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        self._loop.call_soon_threadsafe(self._settle, self._connected, f"refuses the connection: {code}" if code.is_failure else "")

    def _on_disconnect(self, _client: Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        self._loop.call_soon_threadsafe(self._on_lost, str(code))

    def _on_publish(self, _client: Client, _data: Any, mid: int, code: ReasonCode, _properties: Any) -> None:
        self._loop.call_soon_threadsafe(self._on_answer, mid, f"refuses a message: {code}" if code.is_failure else "")

    def _on_lost(self, why: str) -> None:
        for one in (self._connected, self.lost, *self._answers.values()):
            self._settle(one, f"the connection is lost: {why}")

    def _on_answer(self, mid: int, why: str) -> None:
        answer = self._answers.pop(mid, None)
        if answer is not None:
            self._settle(answer, why)

    def _settle(self, future: asyncio.Future[None], why: str) -> None:
        if future.done():
            return
        if why:
            future.set_exception(self._gone(why))
        else:
            future.set_result(None)

    def _gone(self, why: str) -> PlantError:
        return PlantError(f"broker {self._where}: {why}; check the broker, and what it lets this client do")


async def _settled(future: asyncio.Future[None]) -> bool:
    """Within ANSWER_S; asyncio.wait_for of Python before 3.12 can swallow that the task was cancelled meanwhile."""
    await asyncio.wait([future], timeout=ANSWER_S)
    return future.done()


def _words(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
