"""NVIDIA's Linux_for_Tegra folder (the BSP): is it one, of which release, with what for a board. Read only."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from edge.errors import FlashError
from edge.jetpack_releases import JetPackRelease, find_release, parse_l4t_release
from tools.flash.boards import FLASH, INITRD_FLASH, FlashBoard, FlashWay

APPLY_BINARIES = "apply_binaries.sh"
VERSION = "nv_tegra/bsp_version"
APPLIED = "etc/nv_tegra_release"


@dataclass(frozen=True, slots=True)
class Bsp:
    """A Linux_for_Tegra folder. version: as the file says, such as 36.4.3."""

    path: Path
    version: str
    release: JetPackRelease

    @property
    def rootfs(self) -> Path:
        """The sample root file system, unpacked."""
        return self.path / "rootfs"

    @property
    def applied(self) -> bool:
        """True where NVIDIA's binaries are in the root file system already."""
        return (self.rootfs / APPLIED).is_file()

    def require_board(self, board: FlashBoard, way: FlashWay) -> None:
        """Raise FlashError unless the BSP holds what flashing ``board`` that way reads."""
        board.require(self.release)
        if not (self.path / f"{board.name}.conf").is_file():
            near = difflib.get_close_matches(board.name, [one.stem for one in self.path.glob("*.conf")], n=1, cutoff=0.4)
            hint = f"; the nearest it has is {near[0]}" if near else ""
            raise FlashError(f"{self.path}: L4T {self.version} has no {board.name}.conf{hint}; take the BSP of another release")
        for name in (way.script, *way.files):
            if not (self.path / name).is_file():
                raise FlashError(f"{self.path}: {name} is missing, which flashing needs; unpack NVIDIA's archive again")


def open_bsp(path: Path) -> Bsp:
    """Read ``path``; raises FlashError where it is no BSP or not complete, ConfigError for a release that is not supported."""
    scripts = (APPLY_BINARIES, FLASH, INITRD_FLASH)
    if missing := [name for name in (*scripts, VERSION) if not (path / name).is_file()]:
        raise FlashError(
            f"{path}: expected NVIDIA's Linux_for_Tegra folder, {missing[0]} is missing; unpack Jetson_Linux_R*_aarch64.tbz2"
        )
    values = dict(re.findall(r"^\s*(\w+)=[\"']?([^\"'\s]*)", (path / VERSION).read_text(encoding="utf-8"), re.MULTILINE))
    numbers = [values.get(name, "") for name in ("BSP_BRANCH", "BSP_MAJOR", "BSP_MINOR")]
    if not all(one.isdecimal() for one in numbers):
        raise FlashError(f"{path / VERSION}: expected BSP_BRANCH, BSP_MAJOR and BSP_MINOR, each a number; unpack the archive again")
    if not (path / "rootfs" / "etc").is_dir():
        raise FlashError(f"{path}: rootfs/ is empty; unpack Tegra_Linux_Sample-Root-Filesystem_R*.tbz2 into it, as root")
    bsp = Bsp(path, ".".join(numbers), find_release(int(numbers[0]), int(numbers[1])))
    _require_same_release(bsp)
    return bsp


def _require_same_release(bsp: Bsp) -> None:
    """A root file system that another BSP's binaries went into does not boot with this one's boot loader."""
    if not bsp.applied:
        return
    inside = parse_l4t_release((bsp.rootfs / APPLIED).read_text(encoding="utf-8", errors="replace"))
    if inside is not None and inside != (bsp.release.branch, bsp.release.major):
        raise FlashError(
            f"{bsp.path}: the BSP is {bsp.version}, rootfs/ holds R{inside[0]}.{inside[1]}; unpack a fresh root file system into it"
        )
