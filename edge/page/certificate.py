"""A self-signed certificate of this machine, made at the first start that needs one and kept in ``<state>/page``."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import os
import socket
from collections.abc import Iterable
from pathlib import Path

from edge.errors import ConfigError, OutputError
from edge.page.page_config import PageConfig
from edge.storage.durable_files import write_file

CERTIFICATE, KEY = "certificate.pem", "key.pem"
DAYS = 3650
"""Nobody at a line renews it; browsers ask about a self-signed one anyway."""


def certificate_files(config: PageConfig, folder: Path, now: datetime.datetime) -> tuple[Path, Path]:
    """(certificate, key) that the page is served with; raises ConfigError, OutputError."""
    if config.certificate is not None and config.key is not None:
        for path in (config.certificate, config.key):
            if not path.is_file():
                raise ConfigError(f"page: {path} does not exist; correct the path, or leave certificate and key out")
        return config.certificate, config.key
    certificate, key = folder / CERTIFICATE, folder / KEY
    if not (certificate.is_file() and key.is_file()):
        host = config.host_and_port()[0]
        _make(certificate, key, [host, *config.host_names], now)
    return certificate, key


def fingerprint(certificate: Path) -> str:
    """SHA-256 as browsers show it, to be compared at the first visit; raises ConfigError."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        encoded = x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(Encoding.DER)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{certificate}: cannot read a certificate there: {error}; remove it, or correct the path") from error
    return ":".join(f"{byte:02X}" for byte in hashlib.sha256(encoded).digest())


def _make(certificate: Path, key: Path, names: Iterable[str], now: datetime.datetime) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    own = socket.gethostname()
    alternatives: list[x509.GeneralName] = []
    for name in dict.fromkeys([own, f"{own.partition('.')[0]}.local", "localhost", "127.0.0.1", *names]):
        try:
            alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            alternatives.append(x509.DNSName(name))
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, own[:64])])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    try:
        certificate.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        beside = key.with_name(f".{key.name}")
        beside.unlink(missing_ok=True)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # nobody else reads it at any moment
        with os.fdopen(handle, "wb") as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())
        beside.rename(key)
    except OSError as error:
        raise OutputError(f"{key}: cannot write the page's key: {error.strerror}; choose another --state") from error
    write_file(certificate, made.public_bytes(Encoding.PEM))
