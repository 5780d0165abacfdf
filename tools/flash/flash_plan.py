"""All that flashing will do, worked out beforehand: steps in order, files, what was checked. Making a plan changes nothing."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from edge.errors import FlashError
from tools.flash.boards import FLASH, INITRD_FLASH, INITRD_INTERNAL, FlashBoard, FlashWay, Storage, find_board
from tools.flash.bsp import APPLY_BINARIES, Bsp, open_bsp
from tools.flash.device_contents import Wanted, device_manifest
from tools.flash.device_manifest import DeviceManifest
from tools.flash.host import missing_packages, recovery_devices, require_room
from tools.flash.jetpack_packages import JetPackSource, jetpack_source

MOST_DEVICES = 32


@dataclass(frozen=True, slots=True)
class Step:
    """command: run in the BSP's folder, empty for our own. erases: what is on a device is lost with it."""

    name: Literal["binaries", "stage", "images", "flash"]
    words: str
    command: tuple[str, ...] = ()
    erases: bool = False


@dataclass(frozen=True, slots=True)
class FlashPlan:
    """bsp, board, storage, mass: what; steps, manifest: how; warnings: what to see to before ``flash``."""

    bsp: Bsp
    board: FlashBoard
    storage: Storage
    mass: int
    jetpack: JetPackSource
    manifest: DeviceManifest
    steps: tuple[Step, ...]
    room: int
    warnings: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "l4t": self.bsp.version, "release": self.bsp.release.name, "bsp": str(self.bsp.path), "board": self.board.name,
            "storage": self.storage, "mass": self.mass, "jetpack": self.jetpack.words, "room_bytes": self.room,
            "steps": [asdict(one) for one in self.steps], "facts": self.manifest.facts, "warnings": list(self.warnings),
            "files": [one.record() for one in self.manifest.entries],
        }  # fmt: skip

    @property
    def identity(self) -> str:
        """The same for a plan that does the same: images that were made by it can be used again."""
        record = {
            **self.record(),
            "warnings": [],
            "room_bytes": 0,
            "steps": [one.command for one in self.steps if one.name != "binaries"],
        }
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16]


def make_plan(
    l4t: Path, board_name: str, storage: Storage | None, mass: int, jetpack_debs: Path | None, jetpack: str | None, wanted: Wanted
) -> FlashPlan:
    """Raises FlashError, ConfigError or BundleError for whatever would go wrong later."""
    board = find_board(board_name)
    bsp = open_bsp(l4t)
    if not 1 <= mass <= MOST_DEVICES:
        raise FlashError(f"--mass {mass}: expected 1 to {MOST_DEVICES} devices at a time; correct it")
    chosen, way = board.way(storage)
    if mass > 1 and way.script == FLASH:
        way = INITRD_INTERNAL  # NVIDIA's mass flash is in this script alone
    bsp.require_board(board, way)
    source = jetpack_source(jetpack_debs, jetpack, bsp.release)
    if source.kind == "installed":
        raise FlashError("--jetpack installed: nothing is on a device that is flashed; say --jetpack-debs DIR or --jetpack apt")
    manifest = device_manifest(wanted, bsp.release, source)
    room = require_room(bsp.path, bsp.rootfs, manifest.size)
    return FlashPlan(bsp, board, chosen, mass, source, manifest, _steps(bsp, board, way, mass, manifest), room, _warnings(board))


def _steps(bsp: Bsp, board: FlashBoard, way: FlashWay, mass: int, manifest: DeviceManifest) -> tuple[Step, ...]:
    openrm = ("--openrm",) if board.family == "thor" else ()
    steps = []
    if not bsp.applied:
        steps.append(Step("binaries", "put NVIDIA's binaries into rootfs/", (f"./{APPLY_BINARIES}", *openrm)))
    count = sum(one.kind == "file" for one in manifest.entries)
    steps.append(Step("stage", f"put {count} files ({manifest.size / 1e6:.0f} MB) into rootfs/"))
    massflash = ("--massflash", str(mass)) if mass > 1 else ()
    target = (board.name, way.root_device)
    if way.script == INITRD_FLASH:
        images = (f"./{way.script}", "--no-flash", *massflash, *way.options, *target)
        flash = (f"./{way.script}", "--flash-only", *massflash, *(("--keep",) if massflash else ()), *way.options, *target)
        steps.append(Step("images", "make the images", images))
        steps.append(Step("flash", f"flash {'up to ' + str(mass) + ' devices' if mass > 1 else 'the device'}", flash, erases=True))
    else:
        steps.append(Step("flash", "make the image and flash the device", (f"./{way.script}", *way.options, *target), erases=True))
    return tuple(steps)


def _warnings(board: FlashBoard) -> tuple[str, ...]:
    """A plan may be made where nothing can be flashed yet; ``flash`` refuses for each of these."""
    found = []
    if missing := missing_packages():
        found.append(f"this machine lacks {', '.join(missing)}; run: sudo apt install {' '.join(missing)}")
    if not recovery_devices(board):
        found.append(f"no {board.title} in recovery mode at a USB port yet")
    return tuple(found)
