"""An OPC UA server: the line and the newest result as variables, and a method that gives a client every part after one."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.errors import PlantError, RecordsError
from edge.live.live_status import LiveStatus
from edge.plant.delivery import Delivery
from edge.plant.keep_running import together
from edge.plant.opcua_nodes import LINE, NAMESPACE, RESULT, line_values, result_values
from edge.plant.part_result import PartResult, Place
from edge.plant.plant_config import OpcUaConfig

if TYPE_CHECKING:
    from asyncua import ua
    from asyncua.common.node import Node
    from asyncua.server.server import Server

LOOK_S = 0.25
MOST_RESULTS = 200
MOST_PEERS = 16
PATH = "edge-inspect"
STRING, UINT32 = "i=12", "i=7"
BAD_INVALID_ARGUMENT, BAD_RESOURCE_UNAVAILABLE = 0x80AB0000, 0x80040000
"""Of OPC UA part 6, annex A."""


class OpcUaServer:
    """Serves the parts of ``delivery`` and ``status``. ``port`` is the one it listens at."""

    def __init__(self, config: OpcUaConfig, delivery: Delivery, status: Callable[[], LiveStatus | None]) -> None:
        self._config, self._delivery, self._status = config, delivery, status
        self._nodes: dict[str, Node] = {}
        self._shown: dict[str, Any] = {}
        self.port = 0

    async def run(self, up: Callable[[], None]) -> None:
        """Until cancelled; raises PlantError where it cannot listen or its certificates are none, and RecordsError."""
        try:
            from asyncua.server.server import Server
        except ImportError as error:
            raise PlantError("expected the package asyncua, it is not installed; pip install 'edge-inspect[plant]'") from error
        logging.getLogger("asyncuagds").setLevel(logging.CRITICAL)
        server = Server()
        await server.init()
        await self._secure(server)
        await self._populate(server)
        where = f"{self._config.address}:{self._config.port}"
        try:
            await server.start()
        except OSError as error:
            raise PlantError(
                f"{where}: cannot serve OPC UA there: {error.strerror}; is the port free, the address ours?"
            ) from error
        try:
            binary: Any = server.bserver
            self.port = binary._server.sockets[0].getsockname()[1]
            up()
            await together(self._watch_line(), self._delivery.run(self._tell))
        finally:
            await server.stop()

    async def _secure(self, server: Server) -> None:
        from asyncua import ua
        from asyncua.crypto.truststore import TrustStore
        from asyncua.crypto.validator import CertificateValidator, CertificateValidatorOptions

        config = self._config
        server.set_endpoint(f"opc.tcp://{config.address}:{config.port}/{PATH}")
        server.set_server_name("edge-inspect")
        server.iserver.max_connections = MOST_PEERS
        policy = {
            "none": ua.SecurityPolicyType.NoSecurity,
            "sign": ua.SecurityPolicyType.Basic256Sha256_Sign,
            "sign_and_encrypt": ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
        }[config.security]
        server.set_security_policy([policy])
        server.set_identity_tokens([ua.AnonymousIdentityToken])
        uri = f"urn:edge-inspect:{socket.gethostname()}"
        if config.certificate_file is not None and config.key_file is not None:
            try:
                await server.load_certificate(config.certificate_file, _form(config.certificate_file))
                await server.load_private_key(config.key_file, format=_form(config.key_file))
                uri = _application_uri(server.iserver.certificate) or uri
                if config.security != "none":
                    assert config.trusted_folder is not None
                    trusted = TrustStore([config.trusted_folder], [])
                    await trusted.load()
                    options = CertificateValidatorOptions.TRUSTED_VALIDATION | CertificateValidatorOptions.PEER_CLIENT
                    server.set_certificate_validator(CertificateValidator(options, trusted))
            except (OSError, ValueError, TypeError) as error:
                names = ", ".join(str(one) for one in (config.certificate_file, config.key_file, config.trusted_folder))
                raise PlantError(
                    f"cannot use the certificates {names}: {error}; give PEM or DER, and a key without password"
                ) from error
        await server.set_application_uri(uri)

    async def _populate(self, server: Server) -> None:
        from asyncua import ua

        self._shown.clear()
        index = await server.register_namespace(NAMESPACE)

        def named(name: str) -> ua.NodeId:
            return ua.NodeId.from_string(f"ns={index};s={name}")

        line = await server.nodes.objects.add_object(named("Line"), ua.QualifiedName("EdgeInspect", index))
        result = await line.add_object(named("Result"), ua.QualifiedName("Result", index))
        for parent, table in ((line, LINE), (result, RESULT)):
            prefix = "Line" if parent is line else "Result"
            for name, kind, _ in table:
                variant = ua.Variant(_empty(kind), ua.VariantType[kind.removesuffix("[]")], is_array=kind.endswith("[]"))
                name_here = f"{prefix}.{name}"
                self._nodes[name_here] = await parent.add_variable(named(name_here), ua.QualifiedName(name, index), variant)
        await line.add_method(
            named("Line.Results"), ua.QualifiedName("Results", index), self._results,
            [_argument("After", STRING), _argument("Most", UINT32)], [_argument("Parts", STRING, rank=1)],
        )  # fmt: skip

    async def _tell(self, parts: Sequence[PartResult]) -> None:
        for part in parts:
            await self._show("Result", RESULT, result_values(part))
            self._delivery.told.move(part.place)

    async def _watch_line(self) -> None:
        while True:
            await self._show("Line", LINE, line_values(self._status()))
            await asyncio.sleep(LOOK_S)

    async def _show(self, prefix: str, table: Sequence[tuple[str, str, str]], values: dict[str, Any]) -> None:
        from asyncua import ua

        for name, kind, _ in table:
            here, value = f"{prefix}.{name}", values[name]
            shown = self._shown.get(here, self)
            if name == "Json" or (shown is not value and shown != value):  # NaN is not equal to itself
                self._shown[here] = value
                plain = ua.VariantType[kind.removesuffix("[]")]
                variant = ua.Variant(value, plain, is_array=kind.endswith("[]"))
                await self._nodes[here].write_value(ua.DataValue(variant))

    async def _results(self, _parent: Any, after: ua.Variant, most: ua.Variant) -> Any:
        """The parts after a key, as JSON: the client keeps how far it has come, and so has each of them once."""
        from asyncua import ua

        try:
            place = Place.of(after.Value) if after.Value else self._delivery.outbox.begin()
            parts = self._delivery.outbox.after(place, max(1, min(int(most.Value), MOST_RESULTS)))
            await asyncio.to_thread(self._delivery.outbox.sync)
        except (ValueError, TypeError, AttributeError):
            return ua.StatusCode(ua.UInt32(BAD_INVALID_ARGUMENT))
        except RecordsError:
            return ua.StatusCode(ua.UInt32(BAD_RESOURCE_UNAVAILABLE))
        return [ua.Variant([part.model_dump_json() for part in parts], ua.VariantType.String, is_array=True)]


def _argument(name: str, kind: str, rank: int = -1) -> ua.Argument:
    from asyncua import ua

    return ua.Argument(Name=name, DataType=ua.NodeId.from_string(kind), ValueRank=rank, ArrayDimensions=[0] if rank > 0 else [])


def _form(file: Path) -> str:
    """asyncua would go by the name."""
    return "pem" if b"-----BEGIN" in file.read_bytes() else "der"


def _empty(kind: str) -> Any:
    return [] if kind.endswith("[]") else {"Boolean": False, "String": ""}.get(kind, 0)


def _application_uri(certificate: Any) -> str | None:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    return next(iter(names.get_values_for_type(x509.UniformResourceIdentifier)), None)
