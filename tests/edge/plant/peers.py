"""Real peers for tests: Debian's mosquitto as a broker, on a free port, that can be stopped, killed and started again."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.until import until

DAY = timedelta(days=1)
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")

needs_mosquitto = pytest.mark.skipif(
    MOSQUITTO is None, reason="NOT RUN: no mosquitto broker here; apt-get install mosquitto to prove MQTT against a real one"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Mosquitto:
    """A broker with what ``config`` adds; its persistent sessions outlive a restart."""

    def __init__(self, folder: Path, config: str = "allow_anonymous true\n") -> None:
        folder.mkdir(exist_ok=True)
        self.port = free_port()
        self.file = folder / "mosquitto.conf"
        self.file.write_text(
            f"listener {self.port} 127.0.0.1\npersistence true\npersistence_location {folder}/\nautosave_interval 1\n"
            f"autosave_on_changes true\nmax_queued_messages 0\nuser root\n{config}"
        )
        self.start()

    def start(self) -> None:
        assert MOSQUITTO is not None
        self.process = subprocess.Popen([MOSQUITTO, "-c", str(self.file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: _listens(self.port), "mosquitto does not listen")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(10)


class Amqtt:
    """The broker of a Python package, for machines without mosquitto: MQTT 3.1.1, in a process of its own, and it keeps nothing."""

    CODE = """
import asyncio, sys
from amqtt.broker import Broker

async def main():
    listener = {"type": "tcp", "bind": f"127.0.0.1:{sys.argv[1]}"}
    plugin = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    await Broker({"listeners": {"default": listener}, "plugins": plugin}).start()
    await asyncio.Event().wait()

asyncio.run(main())
"""

    def __init__(self) -> None:
        self.port = free_port()
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-c", self.CODE, str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: _listens(self.port), "amqtt does not listen")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Authority:
    """Makes certificates for localhost, in ``folder``: ``name.pem`` and ``name.key``."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.certificate = folder, folder / "ca.pem"
        self._key = rsa.generate_private_key(65537, 2048)
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of a test")])
        self.certificate.write_bytes(self._signed(self._name, self._key, True, ()).public_bytes(Encoding.PEM))

    def issue(self, name: str, *names: x509.GeneralName) -> None:
        key = rsa.generate_private_key(65537, 2048)
        (self.folder / f"{name}.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        alternatives = (x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1")), *names)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        (self.folder / f"{name}.pem").write_bytes(self._signed(subject, key, False, alternatives).public_bytes(Encoding.PEM))

    def _signed(
        self, subject: x509.Name, key: rsa.RSAPrivateKey, authority: bool, names: tuple[x509.GeneralName, ...]
    ) -> x509.Certificate:
        now = datetime.now(timezone.utc)
        builder = x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number(), now - DAY, now + DAY)
        builder = builder.add_extension(x509.BasicConstraints(authority, None), True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False)
        if authority:
            usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        else:
            usage = x509.KeyUsage(True, True, True, True, False, False, False, False, False)
            builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
            both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = builder.add_extension(x509.ExtendedKeyUsage(both), False)
        return builder.add_extension(usage, True).sign(self._key, hashes.SHA256())
