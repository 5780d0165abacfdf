"""Puts a manifest into a root file system on this machine, and takes it out again."""

from __future__ import annotations

import os
from pathlib import Path

from edge.errors import FlashError
from tools.flash import place_files
from tools.flash.device_manifest import DeviceManifest


def require_root(what: str) -> None:
    """Raise FlashError unless this is root: files on a device are root's."""
    if os.geteuid() != 0:
        raise FlashError(f"{what} needs root, since files on a device are root's; run it with sudo")


def stage(manifest: DeviceManifest, rootfs: Path) -> list[str]:
    """The paths that changed, none where all was there. Raises FlashError; a file is then the old one or the new one."""
    require_root("staging")
    if not (rootfs / "etc").is_dir():
        raise FlashError(f"{rootfs}: expected a root file system, it has no etc/; give NVIDIA's rootfs/")
    try:
        with manifest.whole_stream() as stream:
            return place_files.place(stream, rootfs)
    except (place_files.PlaceError, OSError) as error:
        raise FlashError(f"{rootfs}: {' '.join(str(error).split())}; what was placed so far stays, run it again") from error


def unstage(rootfs: Path) -> tuple[list[str], list[str]]:
    """(paths that are gone or as before, paths left alone since they were changed). Raises FlashError."""
    require_root("undoing a stage")
    try:
        return place_files.take_away(rootfs)
    except (place_files.PlaceError, OSError, ValueError, KeyError) as error:
        raise FlashError(f"{' '.join(str(error).split())}") from error
