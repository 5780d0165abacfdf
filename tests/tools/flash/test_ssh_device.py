"""Provision, update and verify through a real sshd, and with the wire cut: the device goes on with a whole bundle."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from edge.bundle import MANIFEST, file_sha256, open_bundle
from edge.bundles.bundle_slots import slot_name
from edge.errors import EdgeInspectError
from edge.storage.file_lock import lock_folder
from tests.tools.flash.loopback_device import LoopbackDevice, loopback_device, make_root
from tools.flash.cli import main
from tools.flash.device_contents import Wanted
from tools.flash.provisioning import provision, update, verify
from tools.flash.ssh_device import ConnectionLostError, DeviceError, SshDevice

LAST = 7000
"""Bytes of the last connection, about: the self-check, the switch and their words."""


@pytest.fixture
def device(tmp_path: Path) -> Iterator[LoopbackDevice]:
    """Flashed, not provisioned."""
    folder = tmp_path / "ssh"
    folder.mkdir()
    with loopback_device(folder) as made:
        yield made


@pytest.fixture
def content(wanted: Wanted, calibrated_dir: Path) -> Wanted:
    """With the calibrated bundle."""
    wanted.station.write_text("lines: {backend: recording}\n")
    return dataclasses.replace(wanted, bundle=calibrated_dir)


def calibrate(device: LoopbackDevice, content: Wanted) -> None:
    """As a technician would; the calibration is for the model, whatever bundle brings it."""
    state = device.root / "var/lib/edge-inspect/line1"
    shutil.copytree(content.bundle.parent / "calibration", state / "calibration", symlinks=True)


def next_bundle(bundle: Path, place: Path) -> Path:
    """The same model with another manifest, and large enough for a cut to fall into its transfer."""
    shutil.copytree(bundle, place)
    (place / "notes.bin").write_bytes(random.Random(7).randbytes(300_000))
    manifest = yaml.safe_load((place / MANIFEST).read_text())
    manifest["files"]["notes.bin"] = file_sha256(place / "notes.bin")
    (place / MANIFEST).write_text(yaml.safe_dump({**manifest, "created": "2026-05-05T00:00:00Z"}))
    return place


def wait_for_the_devices_own_end(device: LoopbackDevice) -> None:
    """What was begun there goes on without us; it holds this lock for as long."""
    with lock_folder(device.root) as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)


def test_provision_update_and_verify(device: LoopbackDevice, content: Wanted, tmp_path: Path) -> None:
    assert len(verify(device.ssh, content, None, "installed")) == 42
    outcome = provision(device.ssh, content, None, "installed")
    assert (outcome.changed, outcome.words) == (True, "42 of 42 entries changed")
    assert verify(device.ssh, content, None, "installed") == {}
    assert not provision(device.ssh, content, None, "installed").changed
    first = slot_name(content.bundle)
    assert device.slots.active() == first
    calibrate(device, content)

    new = next_bundle(content.bundle, tmp_path / "new")
    outcome = update(device.ssh, new, allow_uncalibrated=False)
    assert outcome.changed
    assert outcome.words == f"bundle {slot_name(new)} is kept"
    assert (device.slots.active(), device.slots.previous()) == (slot_name(new), first)
    assert not update(device.ssh, new, allow_uncalibrated=False).changed
    # The bundle in use is the device's own to change; provisioning again does not take it back.
    assert "goes on with it" in provision(device.ssh, content, None, "installed").words
    assert device.slots.active() == slot_name(new)

    (device.root / "usr/lib/edge-inspect/setup").write_text("edited")
    (device.root / "etc/edge-inspect/line1.yaml").write_text("{}\n")  # the technician's to change
    assert verify(device.ssh, content, None, "installed") == {"/usr/lib/edge-inspect/setup": "has other content"}


def test_a_bundle_that_fails_its_self_check_there_is_not_used(device: LoopbackDevice, content: Wanted, tmp_path: Path) -> None:
    provision(device.ssh, content, None, "installed")
    calibrate(device, content)
    before = device.slots.active()
    bad = next_bundle(content.bundle, tmp_path / "bad")
    manifest = yaml.safe_load((bad / MANIFEST).read_text())
    (bad / MANIFEST).write_text(yaml.safe_dump({**manifest, "model_id": "another"}))
    with pytest.raises(DeviceError, match="self-check of line1 failed, so the bundle in use stays: calibration"):
        update(device.ssh, bad, allow_uncalibrated=False)
    assert device.slots.active() == before


def test_wherever_the_wire_is_cut_the_device_has_a_whole_bundle_and_the_same_command_ends_it(
    device: LoopbackDevice, content: Wanted, tmp_path: Path
) -> None:
    provision(device.ssh, content, None, "installed")
    calibrate(device, content)
    old, new = slot_name(content.bundle), next_bundle(content.bundle, tmp_path / "new")
    shutil.copytree(device.root, tmp_path / "as it was", symlinks=True)
    device.wire.mend()
    update(device.ssh, new, allow_uncalibrated=False)
    whole = device.wire.carried
    assert whole > 300_000
    seen = set()
    some = random.Random(1)
    lost = 0
    for number, cut in enumerate((*(some.randrange(whole) for _ in range(3)), *(whole - some.randrange(LAST) for _ in range(3)))):
        # Each time another folder: what was cut off may still be at work in the one before.
        device = LoopbackDevice(tmp_path / f"cut{number}", device.config, device.wire)
        shutil.copytree(tmp_path / "as it was", device.root, symlinks=True)
        device.wire.mend()
        device.wire.allow = cut
        try:
            update(device.ssh, new, allow_uncalibrated=False)
            # `whole` had more keep-alives, since it took longer, so that this cut fell into ssh's goodbye: all was done.
            assert device.slots.active() == slot_name(new)
        except ConnectionLostError:
            lost += 1
        assert open_bundle(device.slots.link).path.is_dir()
        wait_for_the_devices_own_end(device)
        open_bundle(device.slots.link)
        seen.add(device.slots.active())
        device.wire.mend()
        while True:
            try:
                update(device.ssh, new, allow_uncalibrated=False)
                break
            except DeviceError as error:
                if "is at work in" not in str(error):
                    raise
                wait_for_the_devices_own_end(device)
        assert device.slots.active() == slot_name(new)
        assert device.slots.previous() == old
    assert lost >= 3  # those in the transfer; of the last connection, a keep-alive more or less decides
    assert old in seen


def test_provisioning_that_is_cut_is_ended_by_the_same_command(device: LoopbackDevice, content: Wanted) -> None:
    device.wire.mend()
    provision(device.ssh, content, None, "installed")
    whole = device.wire.carried
    for number, cut in enumerate(random.Random(2).randrange(whole // 2) for _ in range(2)):
        device = LoopbackDevice(device.root.with_name(f"cut{number}"), device.config, device.wire)
        make_root(device.root)
        device.wire.mend()
        device.wire.allow = cut
        with pytest.raises(ConnectionLostError):
            provision(device.ssh, content, None, "installed")
        device.wire.mend()
        provision(device.ssh, content, None, "installed")
        assert verify(device.ssh, content, None, "installed") == {}


def test_what_a_technician_reads(device: LoopbackDevice, content: Wanted, capsys: pytest.CaptureFixture[str]) -> None:
    reach = ["--host", "device", "--ssh-config", str(device.config), "--root", str(device.root), "--json"]
    flags = ["--bundle", str(content.bundle), "--station", str(content.station), "--wheelhouse", str(content.wheelhouse),
             "--jetpack", "installed"]  # fmt: skip
    assert main(["provision", *reach, *flags]) == 0
    assert json.loads(capsys.readouterr().out)["changed"] is True
    assert main(["verify", *reach, *flags]) == 0
    (device.root / "usr/share/edge-inspect/pins.txt").unlink()
    assert main(["verify", *reach, *flags]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["differences"] == {"/usr/share/edge-inspect/pins.txt": "is missing"}
    assert main(["rollback", *reach]) == 1
    assert "there is no bundle to go back to" in capsys.readouterr().err


def test_a_device_that_is_not_there_or_no_jetson(device: LoopbackDevice, content: Wanted) -> None:
    device.wire.allow = 0
    with pytest.raises(ConnectionLostError, match="run it again"):
        provision(device.ssh, content, None, "installed")
    device.wire.mend()
    (device.root / "etc/nv_tegra_release").unlink()
    with pytest.raises(EdgeInspectError, match="is no Jetson"):
        provision(device.ssh, content, None, "installed")


def test_another_host_key_is_refused(device: LoopbackDevice, tmp_path: Path) -> None:
    known = device.config.parent / "known"
    known.write_text(known.read_text().replace("AAAAC3NzaC1lZDI1NTE5AAAAI", "AAAAC3NzaC1lZDI1NTE5AAAAIA")[:-3] + "\n")
    with pytest.raises(ConnectionLostError):
        device.ssh.run("true")


def test_a_host_is_no_option_of_ssh(device: LoopbackDevice, tmp_path: Path) -> None:
    with pytest.raises(DeviceError):
        SshDevice(f"-oProxyCommand=touch {tmp_path}/owned", device.config).run("true")
    assert not (tmp_path / "owned").exists()
