"""Where the page is served, and how."""

from __future__ import annotations

import pytest

from edge.errors import ConfigError
from edge.page.page_config import PageConfig, host_and_port
from edge.station_config import StationConfig
from edge.storage.strict_yaml import parse


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [(":8080", "127.0.0.1", 8080), ("0.0.0.0:8443", "0.0.0.0", 8443), ("[::1]:80", "::1", 80), ("panel.local:1", "panel.local", 1)],
)
def test_addresses(text: str, host: str, port: int) -> None:
    assert host_and_port(text) == (host, port)


@pytest.mark.parametrize("text", ["8080", ":0", ":65536", "", "a b:1", "::1:80", "http://x:1", ":8080/"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="expected address:port"):
        host_and_port(text)


@pytest.mark.parametrize(
    ("listen", "tls", "loopback", "encrypted"),
    [
        (":8080", "auto", True, False),
        ("localhost:1", "auto", True, False),
        ("[::1]:1", "auto", True, False),
        ("0.0.0.0:1", "auto", False, True),
        ("panel:1", "auto", False, True),
        (":8080", "on", True, True),
        ("0.0.0.0:1", "off", False, False),
    ],
)
def test_others_reach_it_over_tls_unless_somebody_said_off(listen: str, tls: str, loopback: bool, encrypted: bool) -> None:
    config = PageConfig.model_validate({"listen": listen, "tls": tls})
    assert (config.loopback, config.encrypted) == (loopback, encrypted)


@pytest.mark.parametrize(
    "content",
    [
        {"listen": "nowhere"},
        {"certificate": "a.pem"},
        {"shifts": ["6:00"]},
        {"shifts": ["06:00", "06:00"]},
        {"shifts": []},
        {"viewer": 3},
        {"idle_minutes": {"operator": 0}},
    ],
)
def test_a_wrong_key_or_value_stops_the_start(content: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="page"):
        parse(StationConfig, {"page": content}, "station.yaml")
