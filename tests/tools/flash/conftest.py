"""What the suites about devices share."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.tools.flash.fake_bsp import make_wheelhouse_names
from tools.flash.device_contents import Wanted

STATION = "camera: {source: '0'}\nlines: {reject: {pin: 7}, ready: {pin: 18}}\n"


@pytest.fixture(autouse=True)
def _room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk with room, whatever the machine has."""
    usage = shutil.disk_usage("/")
    monkeypatch.setattr("tools.flash.host.shutil.disk_usage", lambda _: usage._replace(free=10**12))


@pytest.fixture
def wanted(tmp_path: Path, bundle_dir: Path) -> Wanted:
    """What a device for Python 3.10 is to get, in its plainest form."""
    station = tmp_path / "station.yaml"
    station.write_text(STATION)
    return Wanted(bundle_dir, station, make_wheelhouse_names(tmp_path / "wheels"))


@pytest.fixture(scope="session")
def signing_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An Ed25519 key as ssh-keygen makes it, and its public half beside it as .pub."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not here")
    path = tmp_path_factory.mktemp("key") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "release", "-f", str(path)], check=True)
    return path
