"""A device that runs already: the manifest onto it, another bundle into its spare slot, and whether it is as it should be."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from edge.bundle import open_bundle
from edge.bundles.bundle_slots import BUNDLE_LINK, slot_name
from edge.errors import FlashError
from edge.jetpack_releases import JetPackRelease, find_release, parse_l4t_release
from tools.flash.device_contents import Wanted, bundle_entries, device_manifest
from tools.flash.device_manifest import DeviceManifest
from tools.flash.jetpack_packages import jetpack_source
from tools.flash.ssh_device import DeviceError, SshDevice

MINIMUM_SPARE = 500_000_000
"""Bytes left over when all is placed: a virtual environment is made there."""
SETTLE = (
    "systemctl daemon-reload && systemd-sysusers && systemd-tmpfiles --create; udevadm control --reload && udevadm trigger; "
    "systemctl restart systemd-journald; systemctl restart --no-block edge-inspect-setup.service {units}"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one device. changed: False where all was as it should be."""

    host: str
    changed: bool
    words: str


def provision(device: SshDevice, wanted: Wanted, debs: Path | None, jetpack: str | None) -> Outcome:
    """Everything edge-flash puts into a root file system, onto a device that was flashed before. Raises FlashError, DeviceError.

    A bundle goes into a slot of its own and is used only where there is none: ``update`` is for changing it.
    """
    manifest = device_manifest(wanted, _release_of(device), jetpack_source(debs, jetpack, _release_of(device)), headless=False)
    _require_room(device, manifest)
    changed = device.place(manifest, kept=True)
    if changed and device.root == "/":
        units = f"edge-inspect-engine@{wanted.line}.service edge-inspect@{wanted.line}.service"
        device.run(SETTLE.format(units=units))
    used = device.run(f"readlink {shlex.quote(device.root.rstrip('/') + str(BUNDLE_LINK))} || :").strip()
    words = f"{len(changed)} of {len(manifest.entries)} entries changed"
    if used and not used.endswith(manifest.facts["bundle"]):
        words += f"; it uses the bundle {used.rpartition('/')[2]} and goes on with it: edge-flash update changes that"
    return Outcome(device.host, bool(changed), words)


def update(device: SshDevice, bundle_path: Path, *, allow_uncalibrated: bool) -> Outcome:
    """``bundle_path`` into the spare slot, checked there, switched to, and back where it does not hold. Raises DeviceError.

    Cut off anywhere, the device goes on with the bundle it had, or with the new one, wholly; the same call again ends it.
    """
    bundle = open_bundle(bundle_path)
    name = slot_name(bundle.path)
    manifest = DeviceManifest({"bundle": name}, tuple(bundle_entries(bundle)))
    _require_room(device, manifest)
    device.place(manifest, kept=False)
    said = device.bundle_command("use", name, *(["--allow-uncalibrated"] if allow_uncalibrated else []))
    return Outcome(device.host, "already" not in said, said.splitlines()[-1] if said else "")


def rollback(device: SshDevice) -> Outcome:
    """The bundle before. Raises DeviceError."""
    said = device.bundle_command("rollback")
    return Outcome(device.host, True, said.splitlines()[-1] if said else "")


def verify(device: SshDevice, wanted: Wanted, debs: Path | None, jetpack: str | None) -> dict[str, str]:
    """Path → how the device is not as ``provision`` with the same flags would make it. Changes nothing."""
    release = _release_of(device)
    return device.differences(device_manifest(wanted, release, jetpack_source(debs, jetpack, release), headless=False))


def _release_of(device: SshDevice) -> JetPackRelease:
    line = device.fact("/etc/nv_tegra_release")
    parsed = parse_l4t_release(line)
    if parsed is None:
        raise FlashError(f"{device.host}: is no Jetson, or not one with L4T (no /etc/nv_tegra_release); check the host")
    return find_release(*parsed)


def _require_room(device: SshDevice, manifest: DeviceManifest) -> None:
    out = device.run(f"df -Pk {shlex.quote(device.root)} | tail -n 1").split()
    if len(out) < 4 or not out[3].isdecimal():
        raise DeviceError(f"{device.host}: df does not tell how much is free")
    free, needed = int(out[3]) * 1024, manifest.size + MINIMUM_SPARE
    if free < needed:
        raise FlashError(f"{device.host}: {free / 1e9:.1f} GB are free, {needed / 1e9:.1f} GB are needed; free some on the device")
