"""Keys of station.yaml for the plant: which protocols, where. All are off until they are named."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from edge.storage.strict_yaml import StrictModel

LOOPBACK = "127.0.0.1"
CONFIG = "EDGE_INSPECT_PLANT"
"""In the environment of the plant's process: its PlantConfig as JSON."""


def _file(description: str) -> Path | None:
    value: Path | None = Field(None, strict=False, description=f"{description}; beside the station file where relative")
    return value


class MqttConfig(StrictModel):
    """A broker that is told every part and the state of the line."""

    host: str = Field(min_length=1, max_length=253)
    port: int | None = Field(None, ge=1, le=65535, description="8883 with tls, 1883 without, when left out")
    topic: str = Field("edge-inspect/line", min_length=1, max_length=200, description="topics are below this one")
    client_id: str | None = Field(None, min_length=1, max_length=64, description="made of the machine's name when left out")
    version: Literal["5", "3.1.1"] = Field("5", description="in 3.1.1 a broker cannot say that it refuses a message")
    keepalive_s: int = Field(15, ge=2, le=3600, description="a broker that is silent for longer is given up")
    tls: bool = False
    ca_file: Path | None = _file("certificates that the broker's is checked against; the machine's own when left out")
    certificate_file: Path | None = _file("our own certificate, where the broker wants one")
    key_file: Path | None = _file("its key")
    username: str | None = None
    password_file: Path | None = _file("a file with the password")

    @field_validator("topic")
    @classmethod
    def _no_wildcard(cls, value: str) -> str:
        if any(c in value for c in "+#\0") or value.startswith(("$", "/")) or value.endswith("/"):
            raise ValueError(
                f"expected a topic without + and #, and not beginning or ending with /, got {value!r}; correct the value"
            )
        return value

    @model_validator(mode="after")
    def _files_of_tls(self) -> MqttConfig:
        _pair(self.certificate_file, self.key_file, "certificate_file", "key_file")
        if not self.tls and (self.ca_file or self.certificate_file):
            raise ValueError("expected `tls: true` with ca_file or certificate_file; add it, or take them out")
        if self.password_file is not None and self.username is None:
            raise ValueError("expected a username with password_file; add it")
        return self


class ModbusConfig(StrictModel):
    """A Modbus TCP server for a PLC. The protocol knows no passwords: whoever reaches the port may trigger."""

    address: str = Field(LOOPBACK, min_length=1, description="of the interface to the PLC; 0.0.0.0 for all")
    port: int = Field(502, ge=0, le=65535, description="0: any free one")
    allow: tuple[str, ...] = Field((), strict=False, description="addresses of the peers that may connect; empty: all")
    acknowledge: bool = Field(True, description="each result stays until the PLC has acknowledged it; false: the newest is shown")


class OpcUaConfig(StrictModel):
    """An OPC UA server with the state of the line, the newest result, and a method that gives all of them."""

    address: str = Field(LOOPBACK, min_length=1)
    port: int = Field(4840, ge=0, le=65535, description="0: any free one")
    security: Literal["none", "sign", "sign_and_encrypt"] = Field("none", description="Basic256Sha256, or nothing")
    certificate_file: Path | None = _file("the server's certificate, DER or PEM; needed with security")
    key_file: Path | None = _file("its key, PEM")
    trusted_folder: Path | None = _file(
        "certificates (*.pem, *.der) of the clients that may connect, or of who issued them; needed with security"
    )

    @model_validator(mode="after")
    def _certificates(self) -> OpcUaConfig:
        _pair(self.certificate_file, self.key_file, "certificate_file", "key_file")
        if self.security != "none" and (self.certificate_file is None or self.trusted_folder is None):
            raise ValueError("expected certificate_file, key_file and trusted_folder with security; add them")
        return self


class WebhookConfig(StrictModel):
    """An HTTP server that gets a POST for every part."""

    url: str
    token_file: Path | None = _file("a file with the bearer token")
    ca_file: Path | None = _file("certificates that the server's is checked against; the machine's own when left out")
    timeout_s: float = Field(10.0, gt=0, le=120)
    attempts: int = Field(5, ge=1, le=100, description="a part whose content the server refuses so often is left out, and told")

    @field_validator("url")
    @classmethod
    def _http(cls, value: str) -> str:
        parts = urlsplit(value)
        _ = parts.port  # raises where it is none
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise ValueError(f"expected http:// or https://, a host and no password, got {value!r}; correct the value")
        return value


class MetricsConfig(StrictModel):
    """Figures for Prometheus at http://address:port/metrics."""

    address: str = Field(LOOPBACK, min_length=1)
    port: int = Field(9464, ge=0, le=65535, description="0: any free one")


class PlantConfig(StrictModel):
    """What the plant is told, and by what."""

    mqtt: MqttConfig | None = None
    modbus: ModbusConfig | None = None
    opcua: OpcUaConfig | None = None
    webhook: WebhookConfig | None = None
    metrics: MetricsConfig | None = None

    @property
    def wanted(self) -> bool:
        """Whether there is anything to run."""
        return any(getattr(self, name) is not None for name in type(self).model_fields)

    def beside(self, folder: Path) -> PlantConfig:
        """The same, with relative paths taken from ``folder``."""
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return self.model_copy(update={name: _beside(one, folder) for name, one in given.items() if one is not None})


def _beside(model: StrictModel, folder: Path) -> StrictModel:
    paths = {name: folder / value for name in type(model).model_fields if isinstance(value := getattr(model, name), Path)}
    return model.model_copy(update=paths)


def _pair(one: Path | None, other: Path | None, *names: str) -> None:
    if (one is None) != (other is None):
        raise ValueError(f"expected {names[0]} and {names[1]} together, got one of them; add the other")
