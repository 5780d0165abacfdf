"""NVIDIA's developer kits, and how each is flashed: script, layout files and root device by storage.

Source of the facts: the quick starts of Jetson Linux R36.4 to R39.2. None of these commands was run on a board here.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from edge.errors import FlashError
from edge.jetpack_releases import Family, JetPackRelease

Storage = Literal["nvme", "emmc", "sd"]
FLASH = "flash.sh"
INITRD_FLASH = "tools/kernel_flash/l4t_initrd_flash.sh"
QSPI_T234 = "bootloader/generic/cfg/flash_t234_qspi.xml"
NVME_T234 = "tools/kernel_flash/flash_l4t_t234_nvme.xml"


@dataclass(frozen=True, slots=True)
class FlashWay:
    """One way to put a system on one storage. options: before board and root device; files: of the BSP, that it reads."""

    script: str
    options: tuple[str, ...]
    files: tuple[str, ...]
    root_device: str = "internal"


NVME_ORIN_NANO = FlashWay(
    INITRD_FLASH,
    ("--external-device", "nvme0n1p1", "-c", NVME_T234, "-p", f"-c {QSPI_T234}", "--network", "usb0", "--showlogs"),
    (NVME_T234, QSPI_T234),
)
NVME_AGX_ORIN = FlashWay(
    INITRD_FLASH,
    ("--external-device", "nvme0n1p1", "-c", NVME_T234, "--network", "usb0", "--showlogs"),
    (NVME_T234,),
    "external",
)
INITRD_INTERNAL = FlashWay(INITRD_FLASH, ("--network", "usb0", "--showlogs"), ())


@dataclass(frozen=True, slots=True)
class FlashBoard:
    """name: NVIDIA's, whose <name>.conf the BSP holds. usb_products: what the module says of itself in recovery mode."""

    name: str
    title: str
    family: Family
    ways: dict[Storage, FlashWay]
    usb_products: frozenset[str]
    first_release: tuple[int, int] = (36, 4)

    def way(self, storage: Storage | None) -> tuple[Storage, FlashWay]:
        """The way to ``storage``, by default the first; raises FlashError."""
        chosen = storage or next(iter(self.ways))
        if chosen not in self.ways:
            raise FlashError(f"--storage {chosen}: the {self.title} is flashed to {' or '.join(self.ways)}; choose one of those")
        return chosen, self.ways[chosen]

    def require(self, release: JetPackRelease) -> None:
        """Raise FlashError unless ``release`` runs on this board."""
        if self.family not in release.families or (release.branch, release.major) < self.first_release:
            raise FlashError(f"{release.name} is not for the {self.title}; take the BSP of a release that is")


ORIN_NANO_NX = frozenset({"7323", "7423", "7523", "7623"})
BOARDS = (
    FlashBoard(
        "jetson-orin-nano-devkit",
        "Jetson Orin Nano/NX developer kit",
        "orin",
        {"nvme": NVME_ORIN_NANO, "sd": INITRD_INTERNAL},
        ORIN_NANO_NX,
    ),
    FlashBoard(
        "jetson-orin-nano-devkit-super",
        "Jetson Orin Nano/NX developer kit, super power modes",
        "orin",
        {"nvme": NVME_ORIN_NANO, "sd": INITRD_INTERNAL},
        ORIN_NANO_NX,
    ),
    FlashBoard(
        "jetson-agx-orin-devkit",
        "Jetson AGX Orin developer kit",
        "orin",
        {"emmc": FlashWay(FLASH, (), ()), "nvme": NVME_AGX_ORIN},
        frozenset({"7023", "7223"}),
    ),
    FlashBoard(
        "jetson-agx-thor-devkit",
        "Jetson AGX Thor developer kit",
        "thor",
        {"nvme": INITRD_INTERNAL},
        frozenset({"7026"}),
        (38, 2),
    ),
)


def find_board(name: str) -> FlashBoard:
    """The board NVIDIA calls ``name``; raises FlashError, which names the nearest."""
    names = [one.name for one in BOARDS]
    if name in names:
        return BOARDS[names.index(name)]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}"
    raise FlashError(f"--board {name!r}: is not known; {hint}")
