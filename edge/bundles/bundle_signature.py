"""Who made a bundle: an Ed25519 signature over its manifest, whose hashes cover every other file.

``signature.yaml`` lies beside the manifest. A device trusts the keys in /etc/edge-inspect/trusted-keys, placed at staging, root's
to change; no flag or variable names another file. Where there is none, as on a workstation, any bundle is allowed, and told.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from edge.errors import BundleError, ConfigError, UntrustedBundleError
from edge.storage.locations import SETTINGS_FOLDER
from edge.storage.strict_yaml import StrictModel, load_model

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

TRUSTED_KEYS = SETTINGS_FOLDER / "trusted-keys"
SIGNATURE = "signature.yaml"
# A key may sign other things too; what it signs here begins with what nothing else does.
CONTEXT = b"edge-inspect bundle manifest, version 1\n"
UNSIGNED_ALLOWED = f"bundle signatures are not checked: there is no {TRUSTED_KEYS}"


class Signature(StrictModel):
    """signature.yaml, strict. ``key``: fingerprint of the public key; ``signature``: Base64 of its 64 bytes."""

    algorithm: Literal["ed25519"]
    key: str
    signature: str = Field(pattern=r"^[A-Za-z0-9+/]{86}==$")


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """One line of the trust file."""

    key: Ed25519PublicKey
    fingerprint: str
    comment: str


def fingerprint(key: Ed25519PublicKey) -> str:
    """sha256 of the key's 32 bytes, in hex, shortened."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def signed_message(manifest: bytes) -> bytes:
    """What is signed for a manifest.yaml of these bytes."""
    return CONTEXT + manifest


def read_trusted_keys(path: Path) -> list[TrustedKey]:
    """The keys in ``path``, one OpenSSH public key a line (ssh-ed25519 AAAA… comment). Raises ConfigError."""
    serialization = _serialization()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    keys = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot read the trusted keys ({error}); stage the device again") from error
    for number, line in enumerate(lines, 1):
        words = line.split(maxsplit=2)
        if not words or line.startswith("#"):
            continue
        try:
            key = serialization.load_ssh_public_key(" ".join(words[:2]).encode())
        except Exception as error:  # whatever the parser throws
            raise ConfigError(f"{path} line {number}: is no OpenSSH public key; make one with ssh-keygen -t ed25519") from error
        if not isinstance(key, Ed25519PublicKey):
            raise ConfigError(
                f"{path} line {number}: expected an ssh-ed25519 key, got {words[0]}; make one with ssh-keygen -t ed25519"
            )
        keys.append(TrustedKey(key, fingerprint(key), words[2] if len(words) > 2 else ""))
    if not keys:
        raise ConfigError(f"{path}: holds no key, so no bundle could be trusted; stage the device again")
    return keys


def require_trusted(folder: Path, manifest: bytes, trusted: Path | None = None) -> str:
    """Who signed the bundle in ``folder``, whose manifest.yaml has these bytes; empty where no trust file stands.

    Raises UntrustedBundleError, and ConfigError for a trust file that cannot be used.
    """
    path = TRUSTED_KEYS if trusted is None else trusted
    if not path.exists():
        return ""
    keys = read_trusted_keys(path)
    if not (folder / SIGNATURE).is_file():
        raise UntrustedBundleError(f"{folder}: is not signed, and {path} demands it; sign it with edge-flash sign")
    try:
        signature = load_model(Signature, folder / SIGNATURE)
    except ConfigError as error:
        raise UntrustedBundleError(str(error)) from error
    known = next((one for one in keys if one.fingerprint == signature.key), None)
    if known is None:
        raise UntrustedBundleError(
            f"{folder}: is signed by the key {signature.key}, which is not in {path}; sign it with a key that is, or stage that key"
        )
    from cryptography.exceptions import InvalidSignature

    try:
        known.key.verify(base64.b64decode(signature.signature), signed_message(manifest))
    except InvalidSignature as error:
        raise UntrustedBundleError(
            f"{folder}: its manifest is not what was signed; do not use it, copy the bundle again"
        ) from error
    return known.comment or known.fingerprint


def read_manifest_bytes(path: Path) -> bytes:
    """The bytes that both the hash and the signature are about; raises BundleError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: cannot read it: {error.strerror}; copy the bundle again") from error


def _serialization() -> ModuleType:
    """From a package that a machine without a trust file need not have."""
    try:
        from cryptography.hazmat.primitives import serialization
    except ImportError as error:
        raise ConfigError(
            "checking signatures needs the package `cryptography`, which is not installed; pip install cryptography"
        ) from error
    return serialization
