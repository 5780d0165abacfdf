"""Bundles on a device, each in a folder of its own, and one link that says which is used: the running one is never written to.

/var/lib/edge-inspect/bundle            -> bundles/<name>          moved in one step
/var/lib/edge-inspect/bundles/<name>/   named by the hash of its manifest
/var/lib/edge-inspect/bundles/previous  -> <name>                  what rollback goes back to
/var/lib/edge-inspect/bundles/trying    -> <name>                  while another is tried: the one to go back to
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from edge.bundle import MANIFEST, open_bundle
from edge.errors import BundleError, OutputError
from edge.storage.durable_files import new_folder, sync_folder
from edge.storage.locations import DEFAULT_BUNDLE, STATE_FOLDER

BUNDLE_LINK = DEFAULT_BUNDLE
SLOTS = STATE_FOLDER / "bundles"
PREVIOUS, TRYING = "previous", "trying"


def slot_name(bundle: Path) -> str:
    """The name of the folder for ``bundle``: 16 hexadecimal digits of its manifest's sha256, which names all its files."""
    return hashlib.sha256((bundle / MANIFEST).read_bytes()).hexdigest()[:16]


class BundleSlots:
    """root: where / of the device is. One process at a time; ``edge-bundle`` and edge-flash hold the lock of ``root``."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.link = root / BUNDLE_LINK.relative_to("/")
        self.folder = root / SLOTS.relative_to("/")

    def path(self, name: str) -> Path:
        """Where the bundle ``name`` is, or would be."""
        return self.folder / name

    def names(self) -> list[str]:
        """Those that are there."""
        return sorted(one.parent.name for one in self.folder.glob(f"*/{MANIFEST}") if not one.parent.is_symlink())

    def active(self) -> str | None:
        """The one in use; None where the link is none of ours."""
        target = _target(self.link)
        return target.name if target is not None and target.parent.name == self.folder.name else None

    def previous(self) -> str | None:
        """The one before it, while it is still there."""
        return self._named(PREVIOUS)

    def trying(self) -> str | None:
        """While another is tried: the one to go back to."""
        return self._named(TRYING)

    def take_in(self, bundle: Path) -> str:
        """Copy ``bundle`` into its slot, unless it is whole there already; its name. Raises BundleError, OutputError."""
        name = slot_name(open_bundle(bundle).path)
        place = self.path(name)
        if bundle.resolve() == place.resolve() or (place.is_dir() and _is_whole(place)):
            return name
        with new_folder(place, replace=True) as beside:
            shutil.copytree(bundle, beside, dirs_exist_ok=True)
            open_bundle(beside)
            for one in (beside, *beside.rglob("*")):
                one.chmod(0o755 if one.is_dir() else 0o644)
        return name

    def try_out(self, name: str) -> None:
        """Make ``name`` the one in use, for now: until ``keep``, ``settle`` goes back."""
        before = self.active()
        if before is not None:
            _move_link(self.folder / TRYING, before)
        elif os.path.lexists(self.link) and not self.link.is_symlink():
            raise OutputError(
                f"{self.link}: is a folder, not a link to a bundle; move it away, then take it in: edge-bundle use FOLDER"
            )
        _move_link(self.link, f"{self.folder.name}/{name}")

    def keep(self) -> None:
        """What was tried stays, and what was before is the previous one; any third goes."""
        if (before := self.trying()) is not None and before != self.active():
            _move_link(self.folder / PREVIOUS, before)
        self._forget_trial()
        for name in self.names():
            if name not in (self.active(), self.previous()):
                shutil.rmtree(self.path(name), ignore_errors=True)

    def settle(self) -> str | None:
        """Where a trial was cut off: back to the one before, whose name is returned; None where there was none."""
        before = self.trying()
        if before is None:
            return None
        tried = self.active()
        if tried != before:
            _move_link(self.link, f"{self.folder.name}/{before}")
        self._forget_trial()
        return before if tried != before else None

    def _forget_trial(self) -> None:
        (self.folder / TRYING).unlink(missing_ok=True)
        sync_folder(self.folder)

    def _named(self, pointer: str) -> str | None:
        target = _target(self.folder / pointer)
        return target.name if target is not None and (self.folder / target.name / MANIFEST).is_file() else None


def _is_whole(place: Path) -> bool:
    try:
        open_bundle(place)
    except BundleError:
        return False
    return True


def _target(link: Path) -> Path | None:
    try:
        return Path(os.readlink(link))
    except OSError:
        return None


def _move_link(link: Path, target: str) -> None:
    beside = link.with_name(f".{link.name}.new")
    try:
        beside.unlink(missing_ok=True)
        beside.symlink_to(target)
        beside.rename(link)
        sync_folder(link.parent)
    except OSError as error:
        raise OutputError(f"{link}: cannot move it: {error.strerror}; run as root") from error
