"""`page:` of station.yaml: where the operator page is served, to whom, and for how long."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from edge.storage.strict_yaml import StrictModel

ADDRESS = re.compile(r"(?:(?P<v6>\[[0-9a-fA-F:.]+\])|(?P<host>[^\s:\[\]/]*)):(?P<port>\d{1,5})")
TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")
LOOPBACK = "127.0.0.1"


class IdleConfig(StrictModel):
    """After how many minutes without a request who is logged in must log in again. An operator's live page counts as one."""

    operator: int = Field(720, ge=1, le=10_080)
    technician: int = Field(30, ge=1, le=1440)
    engineer: int = Field(30, ge=1, le=1440)


class PageConfig(StrictModel):
    """Nothing is served without ``listen``, which ``--http`` overrides."""

    listen: str | None = Field(None, description="address:port; without an address only this machine can reach it")
    tls: Literal["auto", "on", "off"] = Field("auto", description="auto: wherever other machines can reach it")
    certificate: Path | None = Field(None, strict=False, description="PEM; one is made at the first start when left out")
    key: Path | None = Field(None, strict=False, description="PEM, of the certificate")
    host_names: list[str] = Field(default_factory=list, description="further names that the page is reached by")
    language: Literal["en", "ja"] = Field("en", description="where the browser asks for neither")
    shifts: list[str] = Field(["06:00", "14:00", "22:00"], description="when shifts begin, local time", min_length=1, max_length=24)
    viewers: int = Field(16, ge=1, le=64, description="live pages open at the same time")
    idle_minutes: IdleConfig = IdleConfig()

    @field_validator("listen")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        if value is not None:
            host_and_port(value)
        return value

    @field_validator("shifts")
    @classmethod
    def _times(cls, value: list[str]) -> list[str]:
        if wrong := [one for one in value if not TIME.fullmatch(one)]:
            raise ValueError(f"expected times such as 06:00, got {wrong[0]!r}; correct the value")
        if len(set(value)) != len(value):
            raise ValueError(f"expected each time once, got {value}; remove the double one")
        return sorted(value)

    @model_validator(mode="after")
    def _both_or_none(self) -> PageConfig:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("expected `certificate` and `key` together, got one of them; add the other")
        return self

    def host_and_port(self) -> tuple[str, int]:
        """(address, port) of ``listen``, which must be there."""
        assert self.listen is not None
        return host_and_port(self.listen)

    @property
    def loopback(self) -> bool:
        """True where only this machine can reach the page."""
        host = self.host_and_port()[0]
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    @property
    def encrypted(self) -> bool:
        """True where it is served over TLS."""
        return self.tls == "on" or (self.tls == "auto" and not self.loopback)


def host_and_port(text: str) -> tuple[str, int]:
    """``text`` such as ``:8080``, ``0.0.0.0:8443`` or ``[::]:8443``; raises ValueError."""
    found = ADDRESS.fullmatch(text)
    port = int(found["port"]) if found else 0
    if found is None or not 1 <= port <= 65_535:
        raise ValueError(f"expected address:port such as :8080 or 0.0.0.0:8443, got {text!r}; correct it")
    return (found["v6"] or found["host"] or LOOPBACK).strip("[]"), port
