"""This machine as NVIDIA's scripts need it: commands, room on the disk, boards at its USB ports. Nothing is changed."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from edge.errors import FlashError
from tools.flash.boards import FlashBoard

NVIDIA_USB = "0955"
SYS_USB = Path("/sys/bus/usb/devices")
# Commands of the packages that NVIDIA's tools/l4t_flash_prerequisites.sh installs.
COMMANDS = {
    "cpio": "cpio", "dtc": "device-tree-compiler", "mkfs.vfat": "dosfstools", "ip": "iproute2", "lbzip2": "lbzip2",
    "xmllint": "libxml2-utils", "nc": "netcat-openbsd", "exportfs": "nfs-kernel-server", "openssl": "openssl", "rsync": "rsync",
    "sshpass": "sshpass", "udevadm": "udev", "uuidgen": "uuid-runtime", "zstd": "zstd", "qemu-aarch64-static": "qemu-user-static",
}  # fmt: skip
IMAGES_SPARE = 10_000_000_000
"""Boot images and logs, bytes: an estimate."""


@dataclass(frozen=True, slots=True)
class RecoveryDevice:
    """A board at a USB port, in recovery mode. serial: where it tells one."""

    port: str
    product: str
    serial: str


def missing_packages() -> list[str]:
    """Packages of Ubuntu that NVIDIA's scripts need and that are not here."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return [package for command, package in COMMANDS.items() if shutil.which(command, path=path) is None]


def require_packages() -> None:
    """Raise FlashError where commands are missing."""
    if missing := missing_packages():
        raise FlashError(
            f"this machine lacks {', '.join(missing)}, which NVIDIA's scripts need; run: sudo apt install {' '.join(missing)}, "
            "or NVIDIA's tools/l4t_flash_prerequisites.sh"
        )


def require_room(place: Path, rootfs: Path, added: int) -> int:
    """Bytes that flashing needs: the root file system twice, as image and as package, and what is added. Raises FlashError."""
    needed = 2 * (tree_size(rootfs) + added) + IMAGES_SPARE
    free = shutil.disk_usage(place).free
    if free < needed:
        raise FlashError(f"{place}: {free / 1e9:.1f} GB are free, {needed / 1e9:.1f} GB are needed; free some, or move the BSP")
    return needed


def tree_size(folder: Path) -> int:
    """Bytes of all files; each hard link counts once."""
    total, seen = 0, set()
    for root, _, names in os.walk(folder):
        for name in names:
            status = os.lstat(os.path.join(root, name))
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                total += status.st_size
    return total


def recovery_devices(board: FlashBoard, usb: Path = SYS_USB) -> list[RecoveryDevice]:
    """Boards of this kind that wait to be flashed, by USB port."""
    found = [
        RecoveryDevice(one.name, _read(one / "idProduct"), _read(one / "serial"))
        for one in sorted(usb.glob("*"))
        if _read(one / "idVendor") == NVIDIA_USB
    ]
    return [one for one in found if one.product in board.usb_products]


def require_devices(board: FlashBoard, count: int, usb: Path = SYS_USB) -> list[RecoveryDevice]:
    """At least one, at most ``count``; raises FlashError."""
    devices = recovery_devices(board, usb)
    if not devices:
        others = [_read(one / "idProduct") for one in usb.glob("*") if _read(one / "idVendor") == NVIDIA_USB]
        seen = f"; NVIDIA's device {NVIDIA_USB}:{others[0]} is here, which is another module or has booted" if others else ""
        raise FlashError(
            f"no {board.title} in recovery mode at a USB port{seen}; connect its flashing port, hold RECOVERY, press RESET"
        )
    if len(devices) > count:
        raise FlashError(f"{len(devices)} boards are in recovery mode, {count} were asked for; unplug the others or say --mass")
    return devices


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
