"""What edge-flash puts onto a device, gathered and checked: application, bundle, station, units, users, keys, limits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edge.bundle import MANIFEST, Bundle, open_bundle
from edge.bundles.bundle_signature import SIGNATURE, TRUSTED_KEYS, read_trusted_keys, require_trusted
from edge.bundles.bundle_slots import BUNDLE_LINK, SLOTS, slot_name
from edge.errors import FlashError
from edge.jetpack_releases import JetPackRelease
from edge.line.station_view import view_of
from edge.station_config import StationConfig, load_station
from edge.version import product_version
from tools.flash.device_manifest import DeviceEntry, DeviceManifest, copied_file, folder, link, text_file
from tools.flash.jetpack_packages import JetPackSource
from tools.flash.pin_note import pin_note
from tools.flash.wheelhouse import EXTRAS, application_id, read_wheelhouse

ROOTFS = Path(__file__).parent / "rootfs"
SHARE = "/usr/share/edge-inspect"
SETTINGS = "/etc/edge-inspect"
UNITS = "/etc/systemd/system"
PLAIN_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
RESERVED = ("root", "edge-inspect", "bundle", "bundles")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says a device is to get. line: names the station, its unit instance and its state."""

    bundle: Path
    station: Path
    wheelhouse: Path
    line: str = "line1"
    trusted_keys: Path | None = None
    admin: str | None = None
    authorized_keys: Path | None = None
    power_mode: int | None = None
    pin_overlay: Path | None = None


def device_manifest(wanted: Wanted, release: JetPackRelease, jetpack: JetPackSource, *, headless: bool = True) -> DeviceManifest:
    """Everything, checked; raises FlashError, BundleError, ConfigError. headless: also no desktop and no set-up wizard."""
    _require_name("--line", wanted.line)
    bundle = open_bundle(wanted.bundle)
    station = load_station(wanted.station)
    view_of(station)
    wheels = read_wheelhouse(wanted.wheelhouse, release.python)
    application = application_id(wheels)
    entries = [
        *_application(wheels, application, jetpack),
        *bundle_entries(bundle),
        link(str(BUNDLE_LINK), f"{SLOTS.name}/{slot_name(bundle.path)}", "made", once=True),
        *_station(wanted, station),
        *_system(wanted),
        *_access(wanted),
        *_trust(wanted, bundle),
    ]
    if headless:
        # NVIDIA's set-up wizard waits for a screen and keeps ssh from starting; nobody sees it at a line.
        entries.append(link(f"{UNITS}/default.target", "/lib/systemd/system/multi-user.target", "made"))
    facts = {
        "edge_inspect": product_version(), "l4t": f"R{release.branch}.{release.major}", "python": release.python,
        "tensorrt": release.tensorrt[0], "jetpack": jetpack.kind, "application": application, "line": wanted.line,
        "model": bundle.manifest.model_id, "bundle": slot_name(bundle.path),
        "signatures": "required" if wanted.trusted_keys is not None else "not checked",
    }  # fmt: skip
    return DeviceManifest(facts, tuple(entries))


def bundle_entries(bundle: Bundle) -> list[DeviceEntry]:
    """A bundle in its slot, which no other bundle can have: the running one is never written to."""
    slot = f"{SLOTS}/{slot_name(bundle.path)}"
    names = sorted({MANIFEST, *bundle.manifest.files, *([SIGNATURE] if (bundle.path / SIGNATURE).is_file() else [])})
    folders = sorted({f"{slot}/{parent}" for name in names for parent in Path(name).parents if parent != Path()})
    made = [folder(path) for path in (str(SLOTS.parent), str(SLOTS), slot, *folders)]
    return made + [copied_file(f"{slot}/{name}", bundle.path / name) for name in names]


def _application(wheels: list[Path], application: str, jetpack: JetPackSource) -> list[DeviceEntry]:
    return [
        folder(SHARE),
        folder(f"{SHARE}/wheelhouse"),
        *(copied_file(f"{SHARE}/wheelhouse/{one.name}", one) for one in wheels),
        text_file(f"{SHARE}/application-id", f"{application}\n", "hash of the wheelhouse"),
        text_file(f"{SHARE}/extras", f"{EXTRAS}\n", "made"),
        text_file(f"{SHARE}/jetpack-source", f"{jetpack.kind}\n", "--jetpack-debs, --jetpack"),
        *([folder(f"{SHARE}/jetpack-debs")] if jetpack.debs else []),
        *(copied_file(f"{SHARE}/jetpack-debs/{one.name}", one) for one in jetpack.debs),
    ]


def _station(wanted: Wanted, station: StationConfig) -> list[DeviceEntry]:
    # A technician changes the station at the line; what was staged is only the beginning.
    entries = [folder(SETTINGS), copied_file(f"{SETTINGS}/{wanted.line}.yaml", wanted.station, once=True)]
    if station.ignore_mask is not None:
        mask = station.ignore_mask.resolve()
        beside = wanted.station.parent.resolve()
        if beside not in mask.parents:
            raise FlashError(
                f"{wanted.station}: ignore_mask {mask} lies elsewhere; put it beside the station file, so that both can move"
            )
        inner = mask.relative_to(beside)
        entries += [folder(f"{SETTINGS}/{one}") for one in reversed(inner.parents) if one != Path()]
        entries.append(copied_file(f"{SETTINGS}/{inner}", mask, once=True))
    entries.append(text_file(f"{SHARE}/pins.txt", pin_note(station, wanted.pin_overlay), "the station's pins"))
    if wanted.pin_overlay is not None:
        entries.append(copied_file(f"/boot/{wanted.pin_overlay.name}", wanted.pin_overlay))
    return entries


def _system(wanted: Wanted) -> list[DeviceEntry]:
    """Units, rules and limits as they lie in rootfs/, and which of the units start."""
    entries = []
    for origin in sorted(one for one in ROOTFS.rglob("*") if one.is_file()):
        path = f"/{origin.relative_to(ROOTFS)}"
        if (path.startswith("/etc/ssh/") and wanted.admin is None) or ("power" in origin.name and wanted.power_mode is None):
            continue
        entries.append(copied_file(path, origin, "0755" if origin.parent.name == "edge-inspect" else "0644"))
    units = {"edge-inspect-setup.service": "", "edge-inspect-engine@.service": wanted.line, "edge-inspect@.service": wanted.line}
    if wanted.power_mode is not None:
        units["edge-inspect-power.service"] = ""
        entries.append(text_file(f"{SETTINGS}/power.conf", f"POWER_MODE={wanted.power_mode}\n", "--power-mode"))
    for unit, instance in units.items():
        entries.append(link(f"{UNITS}/multi-user.target.wants/{unit.replace('@', '@' + instance)}", f"{UNITS}/{unit}", "made"))
    return entries


def _access(wanted: Wanted) -> list[DeviceEntry]:
    """A person's way in: by key, and with sudo, since there is no password. Nothing of it in argv."""
    if (wanted.admin is None) != (wanted.authorized_keys is None):
        raise FlashError("--admin and --authorized-keys belong together: who may log in, and with which keys; give both or none")
    if wanted.admin is None or wanted.authorized_keys is None:
        return []
    name = wanted.admin
    _require_name("--admin", name)
    _require_public_keys(wanted.authorized_keys)
    return [
        text_file("/usr/lib/sysusers.d/edge-inspect-admin.conf", f'u {name} - "{name}" /home/{name} /bin/bash\n'
                  f"m {name} video\nm {name} gpio\nm {name} edge-inspect\n", "--admin"),
        text_file("/usr/lib/tmpfiles.d/edge-inspect-admin.conf", f"d /home/{name} 0750 {name} {name} -\n", "--admin"),
        text_file("/etc/sudoers.d/edge-inspect-admin", f"{name} ALL=(ALL) NOPASSWD: ALL\n", "--admin", "0440"),
        folder("/etc/ssh/authorized_keys.d"),
        copied_file(f"/etc/ssh/authorized_keys.d/{name}", wanted.authorized_keys),
    ]  # fmt: skip


def _trust(wanted: Wanted, bundle: Bundle) -> list[DeviceEntry]:
    if wanted.trusted_keys is None:
        return []
    read_trusted_keys(wanted.trusted_keys)
    require_trusted(bundle.path, (bundle.path / MANIFEST).read_bytes(), wanted.trusted_keys)
    return [copied_file(str(TRUSTED_KEYS), wanted.trusted_keys)]


def _require_public_keys(path: Path) -> None:
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip() and not line.startswith("#")]
    except (OSError, UnicodeDecodeError) as error:
        raise FlashError(f"--authorized-keys {path}: cannot read it ({error}); check the path") from error
    if any("PRIVATE KEY" in line for line in lines):
        raise FlashError(f"--authorized-keys {path}: is a PRIVATE key, which must not leave your machine; give the .pub file")
    kinds = ("ssh-", "ecdsa-", "sk-")
    if not lines or not all(any(word.startswith(kinds) for word in line.split()) for line in lines):
        raise FlashError(f"--authorized-keys {path}: expected OpenSSH public keys, one a line, such as in ~/.ssh/id_ed25519.pub")


def _require_name(flag: str, name: str) -> None:
    if not PLAIN_NAME.fullmatch(name) or name in RESERVED:
        raise FlashError(f"{flag} {name!r}: expected small letters, digits, - and _, beginning with a letter; choose another name")
