"""Staged into a real Debian root: users and units by systemd's own tools, then the application made and started in a chroot.

EDGE_INSPECT_DEBIAN_ROOT names a tar of that root, once made (for this machine's architecture, as root) by:
mmdebstrap --variant=minbase --include=python3,python3-venv,python3-numpy,systemd,udev,sudo,openssh-server bookworm root.tar
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.jetpack_releases import RELEASES
from tests.tiny_bundle import write_tiny_bundle
from tools.flash import device_contents, place_files
from tools.flash.device_contents import Wanted, device_manifest
from tools.flash.device_manifest import DeviceManifest
from tools.flash.jetpack_packages import JetPackSource
from tools.flash.stage import stage, unstage
from tools.flash.wheelhouse import PROJECT, build_application

ROOT_TAR = os.environ.get("EDGE_INSPECT_DEBIAN_ROOT", "")
UNITS = (
    "edge-inspect@line1.service",
    "edge-inspect-engine@line1.service",
    "edge-inspect-setup.service",
    "edge-inspect-power.service",
)
# What systemd-analyze says of each, of 10, where 10 is wide open; a change that opens a unit further must be meant.
MOST_EXPOSURE = {
    "edge-inspect@line1.service": 6.2, "edge-inspect-engine@line1.service": 5.9, "edge-inspect-setup.service": 8.8,
    "edge-inspect-power.service": 8.4,
}  # fmt: skip

pytestmark = [
    pytest.mark.debian_root,
    pytest.mark.skipif(not ROOT_TAR, reason="EDGE_INSPECT_DEBIAN_ROOT names no root (see this file)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a chroot is root's"),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Debian, unpacked."""
    folder = tmp_path_factory.mktemp("debian")
    with tarfile.open(ROOT_TAR) as archive:
        archive.extractall(folder, filter="fully_trusted")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> DeviceManifest:
    """All of it, but with wheels for this machine in place of the board's; needs PyPI."""
    folder = tmp_path_factory.mktemp("content")
    wheels = folder / "wheels"
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    command = [
        *pip,
        "download",
        "--only-binary=:all:",
        "--dest",
        str(wheels),
        "pip",
        "setuptools",
        "wheel",
        "cryptography",
        "gpiod",
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        pytest.skip(f"PyPI is out of reach: {result.stderr[-200:]}")
    build_application(PROJECT, wheels)
    own = next(wheels.glob("edge_inspect-*.whl"))
    subprocess.run(
        [*pip, "download", "--only-binary=:all:", "--dest", str(wheels), "--find-links", str(wheels), str(own)], check=True
    )
    (folder / "line1.yaml").write_text("camera: {source: '0'}\nlines: {backend: recording}\n")
    (folder / "keys").write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJzg6bS5mHn6V0u9Yv3W0xR5nqQ0mN3Zr1m0V3cR3l2s ann\n")
    wanted = Wanted(write_tiny_bundle(folder / "bundle", references=1), folder / "line1.yaml", wheels, admin="technician",
                    authorized_keys=folder / "keys", power_mode=2)  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device_contents, "read_wheelhouse", lambda path, _: sorted(path.iterdir()))
        patch.setattr(device_contents, "EXTRAS", "gpio,signing")
        return device_manifest(wanted, RELEASES[0], JetPackSource("installed"))


def inside(root: Path, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
    result = subprocess.run(["chroot", str(root), *command], capture_output=True, text=True, env=environment, check=False)
    assert not check or result.returncode == 0, result.stdout + result.stderr
    return result


def tree(root: Path) -> dict[str, tuple[int, int, int, str]]:
    found = {}
    for one in root.rglob("*"):
        status = one.lstat()
        if not stat.S_ISDIR(status.st_mode):
            found[str(one.relative_to(root))] = (
                status.st_mode,
                status.st_uid,
                status.st_size,
                os.readlink(one) if one.is_symlink() else "",
            )
    return found


def test_staging_and_taking_it_back(root: Path, manifest: DeviceManifest) -> None:
    before = tree(root)
    assert len(stage(manifest, root)) > 60
    assert stage(manifest, root) == []
    assert place_files.differences(manifest.record(), root) == []
    for entry in manifest.entries:
        status = os.lstat(root / entry.path.lstrip("/"))
        assert (status.st_uid, status.st_gid) == (0, 0), entry.path
        assert entry.kind == "link" or stat.S_IMODE(status.st_mode) == int(entry.mode, 8), entry.path
    assert unstage(root)[1] == []
    assert tree(root) == before
    stage(manifest, root)


def test_users_groups_and_folders(root: Path, manifest: DeviceManifest) -> None:
    stage(manifest, root)
    inside(root, "systemd-sysusers")
    subprocess.run(["systemd-tmpfiles", f"--root={root}", "--create", "edge-inspect-admin.conf"], check=True)  # it needs /proc
    assert set(inside(root, "id", "-nG", "edge-inspect").stdout.split()) == {"edge-inspect", "video", "gpio", "render"}
    assert {"technician", "video", "gpio"} <= set(inside(root, "id", "-nG", "technician").stdout.split())
    shadow = dict(line.split(":")[:2] for line in (root / "etc/shadow").read_text().splitlines())
    assert shadow["technician"].startswith("!")  # by key alone
    assert shadow["edge-inspect"].startswith("!")
    assert (root / "home/technician").is_dir()
    inside(root, "visudo", "-c")
    inside(root, "ssh-keygen", "-A")
    (root / "run/sshd").mkdir(exist_ok=True)
    said = inside(root, "/usr/sbin/sshd", "-T", "-C", "user=technician,host=x,addr=127.0.0.1").stdout.lower()
    assert "passwordauthentication no" in said
    assert "authorizedkeysfile /etc/ssh/authorized_keys.d/%u .ssh/authorized_keys" in said


def test_systemd_finds_nothing_wrong_with_the_units(root: Path, manifest: DeviceManifest) -> None:
    stage(manifest, root)
    ours = (f"opt/edge-inspect/bin/edge-{name}" for name in ("inspect", "build", "doctor", "bundle"))
    for program in ("usr/sbin/nvpmodel", "usr/bin/jetson_clocks", *ours):
        path = root / program
        if not path.exists():  # NVIDIA's are not in Debian, ours are not made yet
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / "usr/bin/true", path)
    verified = inside(root, "systemd-analyze", "verify", *UNITS, check=False)
    shutil.rmtree(root / "opt/edge-inspect")
    told = [line for line in verified.stderr.splitlines() if "edge-inspect" in line]
    assert told == []
    assert verified.returncode == 0, verified.stderr


@pytest.mark.parametrize("unit", UNITS)
def test_units_are_no_more_open_than_they_must_be(root: Path, manifest: DeviceManifest, unit: str) -> None:
    stage(manifest, root)
    said = inside(root, "systemd-analyze", "security", "--offline=true", "--no-pager", unit).stdout
    overall = next(line for line in said.splitlines() if "Overall exposure level" in line)
    assert float(overall.split(":")[1].split()[0]) <= MOST_EXPOSURE[unit], said


def test_the_application_is_made_from_the_wheels_and_runs(root: Path, manifest: DeviceManifest) -> None:
    stage(manifest, root)
    inside(root, "/usr/lib/edge-inspect/setup")
    assert os.readlink(root / "opt/edge-inspect") == f"edge-inspect.d/{manifest.facts['application']}"
    made = (root / "opt/edge-inspect/bin/edge-inspect").stat().st_mtime_ns
    inside(root, "/usr/lib/edge-inspect/setup")  # nothing to do
    assert (root / "opt/edge-inspect/bin/edge-inspect").stat().st_mtime_ns == made
    assert "usage: edge-inspect" in inside(root, "/opt/edge-inspect/bin/edge-inspect", "--help").stdout
    (root / "var/lib/edge-inspect/line1").mkdir(exist_ok=True)
    command = (
        "/opt/edge-inspect/bin/edge-doctor",
        "--json",
        "--only",
        "station,bundle,engine",
        "--station",
        "/etc/edge-inspect/line1.yaml",
    )
    found = {one["check"]: one for one in json.loads(inside(root, *command).stdout)}
    assert "1 reference images score as recorded" in found["engine"]["found"]
    told = json.loads(inside(root, "/opt/edge-inspect/bin/edge-bundle", "list", "--json").stdout)
    assert told["active"] == manifest.facts["bundle"]


def test_setup_that_was_cut_off_leaves_the_application_before(root: Path, manifest: DeviceManifest) -> None:
    """A venv without its mark is made again; the link moves only to one that is whole."""
    stage(manifest, root)
    inside(root, "/usr/lib/edge-inspect/setup")
    before = os.readlink(root / "opt/edge-inspect")
    wheels = [dataclasses.replace(one, content=b"no wheel", sha256="") for one in manifest.entries if "pip-" in one.path]
    (root / wheels[0].path.lstrip("/")).write_bytes(b"no wheel")
    (root / "usr/share/edge-inspect/application-id").write_text("0123456789abcdef\n")
    assert inside(root, "/usr/lib/edge-inspect/setup", check=False).returncode != 0
    assert os.readlink(root / "opt/edge-inspect") == before
    assert "usage" in inside(root, "/opt/edge-inspect/bin/edge-inspect", "--help").stdout
    stage(manifest, root)
    inside(root, "/usr/lib/edge-inspect/setup")
    assert os.readlink(root / "opt/edge-inspect") == before
