"""Signs a bundle with an Ed25519 key, as ssh-keygen -t ed25519 or openssl genpkey make them."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import yaml
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.bundle import MANIFEST, open_bundle
from edge.bundles.bundle_signature import SIGNATURE, Signature, fingerprint, read_manifest_bytes, signed_message
from edge.errors import ConfigError
from edge.storage.durable_files import write_file

PASSPHRASE = "EDGE_INSPECT_KEY_PASSPHRASE"


def load_private_key(path: Path) -> Ed25519PrivateKey:
    """An OpenSSH or PEM file; its passphrase in the environment, never on the command line. Raises ConfigError."""
    passphrase = os.environ.get(PASSPHRASE)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the key: {error.strerror}; check the path") from error
    load = serialization.load_ssh_private_key if b"OPENSSH PRIVATE KEY" in content else serialization.load_pem_private_key
    try:
        key = load(content, passphrase.encode() if passphrase else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(
            f"{path}: is no private key that can be read; make one with ssh-keygen -t ed25519 (a passphrase goes into {PASSPHRASE})"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path}: expected an Ed25519 key, got another kind; make one with ssh-keygen -t ed25519")
    return key


def sign_bundle(folder: Path, key_file: Path) -> str:
    """Write ``signature.yaml`` into the bundle, which is verified first; the key's fingerprint. Raises BundleError, ConfigError."""
    key = load_private_key(key_file)
    open_bundle(folder)
    signature = Signature(
        algorithm="ed25519",
        key=fingerprint(key.public_key()),
        signature=base64.b64encode(key.sign(signed_message(read_manifest_bytes(folder / MANIFEST)))).decode(),
    )
    write_file(folder / SIGNATURE, yaml.safe_dump(signature.model_dump(), sort_keys=False).encode())
    return signature.key
