"""Signed bundles: made with ssh-keygen's keys, refused where a trust file stands and anything is not as it was signed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from edge.bundle import MANIFEST, open_bundle
from edge.bundles import bundle_signature
from edge.bundles.bundle_signature import SIGNATURE, read_trusted_keys
from edge.cli import main as inspect_main
from edge.errors import ConfigError, InputError, UntrustedBundleError

pytest.importorskip("cryptography")

from tools.flash.cli import main as flash_main


def make_key(folder: Path, name: str = "key", kind: str = "ed25519") -> Path:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    key = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())
    none = serialization.NoEncryption()
    path = folder / name
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, none))
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    path.with_suffix(".pub").write_bytes(public + b" release\n")
    return path


@pytest.fixture
def trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trust file that holds one key, which lies beside it as ``key``."""
    path = tmp_path / "trusted-keys"
    path.write_text("# keys of the engineers\n" + make_key(tmp_path).with_suffix(".pub").read_text())
    monkeypatch.setattr(bundle_signature, "TRUSTED_KEYS", path)
    return path


def sign(bundle: Path, key: Path) -> int:
    with pytest.MonkeyPatch.context() as patch:  # who signs has no trust file
        patch.setattr(bundle_signature, "TRUSTED_KEYS", Path("/nonexistent"))
        return flash_main(["sign", str(bundle), "--key", str(key)])


def test_a_signed_bundle_opens_and_says_by_whom(bundle_dir: Path, trust: Path) -> None:
    assert sign(bundle_dir, trust.with_name("key")) == 0
    assert open_bundle(bundle_dir).signed_by == "release"


def test_without_a_trust_file_any_bundle_opens(bundle_dir: Path) -> None:
    assert open_bundle(bundle_dir).signed_by == ""


def unsigned(bundle: Path, _: Path) -> None:
    (bundle / SIGNATURE).unlink()


def another_key(bundle: Path, folder: Path) -> None:
    sign(bundle, make_key(folder, "other"))


def edited_manifest(bundle: Path, _: Path) -> None:
    manifest = yaml.safe_load((bundle / MANIFEST).read_text())
    manifest["model_id"] = "another"
    (bundle / MANIFEST).write_text(yaml.safe_dump(manifest))


def one_more_space(bundle: Path, _: Path) -> None:
    (bundle / MANIFEST).write_text((bundle / MANIFEST).read_text() + " ")


def another_manifests_signature(bundle: Path, folder: Path) -> None:
    signature = (bundle / SIGNATURE).read_bytes()
    edited_manifest(bundle, folder)
    (bundle / SIGNATURE).write_bytes(signature)


def not_base64(bundle: Path, _: Path) -> None:
    record = yaml.safe_load((bundle / SIGNATURE).read_text())
    (bundle / SIGNATURE).write_text(yaml.safe_dump({**record, "signature": "!" * 88}))


def another_algorithm(bundle: Path, _: Path) -> None:
    record = yaml.safe_load((bundle / SIGNATURE).read_text())
    (bundle / SIGNATURE).write_text(yaml.safe_dump({**record, "algorithm": "none"}))


def bare_signature(bundle: Path, folder: Path) -> None:
    """Of the manifest alone, as the same key might have signed it for another purpose."""
    import base64

    from tools.flash.sign_bundle import load_private_key

    record = yaml.safe_load((bundle / SIGNATURE).read_text())
    made = base64.b64encode(load_private_key(folder / "key").sign((bundle / MANIFEST).read_bytes())).decode()
    (bundle / SIGNATURE).write_text(yaml.safe_dump({**record, "signature": made}))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (unsigned, "is not signed"),
        (another_key, "which is not in"),
        (edited_manifest, "its manifest is not what was signed"),
        (one_more_space, "its manifest is not what was signed"),
        (another_manifests_signature, "its manifest is not what was signed"),
        (not_base64, "signature"),
        (another_algorithm, "algorithm"),
        (bare_signature, "its manifest is not what was signed"),
    ],
)
def test_what_is_not_as_it_was_signed_is_refused_by_edge_inspect(
    bundle_dir: Path, trust: Path, capsys: pytest.CaptureFixture[str], harm: object, words: str
) -> None:
    assert sign(bundle_dir, trust.with_name("key")) == 0
    harm(bundle_dir, trust.parent)  # type: ignore[operator]
    with pytest.raises(UntrustedBundleError, match=words):
        open_bundle(bundle_dir)
    assert inspect_main(["--bundle", str(bundle_dir), "--camera", f"file://{bundle_dir}", "--dry-run"]) == 2
    assert words in capsys.readouterr().err


def test_a_file_of_the_bundle_is_covered_by_the_manifest(bundle_dir: Path, trust: Path) -> None:
    assert sign(bundle_dir, trust.with_name("key")) == 0
    with open(bundle_dir / "model.fp32.onnx", "ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match="sha256 differs"):
        open_bundle(bundle_dir)


@pytest.mark.parametrize("content", ["", "# none\n", "ssh-ed25519 AAAA x\n", "nonsense\n"])
def test_a_trust_file_that_cannot_be_used_trusts_nothing(bundle_dir: Path, trust: Path, content: str) -> None:
    assert sign(bundle_dir, trust.with_name("key")) == 0
    trust.write_text(content)
    with pytest.raises(ConfigError):
        open_bundle(bundle_dir)


def test_a_key_of_another_kind_is_no_key(tmp_path: Path, bundle_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = make_key(tmp_path, "ec", "ec")
    with pytest.raises(ConfigError, match="expected an ssh-ed25519 key"):
        read_trusted_keys(key.with_suffix(".pub"))
    for bad, words in (
        (key, "expected an Ed25519 key"),
        (bundle_dir / MANIFEST, "no private key"),
        (tmp_path / "x", "cannot read"),
    ):
        assert sign(bundle_dir, bad) == 2
        assert words in capsys.readouterr().err


def test_ssh_keygens_own_keys_serve(tmp_path: Path, bundle_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not here")
    key = tmp_path / "k"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ssh's", "-f", str(key)], check=True)
    assert sign(bundle_dir, key) == 0
    monkeypatch.setattr(bundle_signature, "TRUSTED_KEYS", key.with_suffix(".pub"))
    assert open_bundle(bundle_dir).signed_by == "ssh's"


def test_a_trust_file_without_the_package_refuses(bundle_dir: Path, trust: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in sys.modules if one.partition(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="pip install cryptography"):
        open_bundle(bundle_dir)
