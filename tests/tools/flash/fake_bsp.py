"""Linux_for_Tegra folders that are made up: NVIDIA's scripts stand in as recorders of their arguments and environment."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tools.flash.boards import BOARDS, FLASH, INITRD_FLASH, NVME_T234, QSPI_T234
from tools.flash.bsp import APPLY_BINARIES

# `behaviour` beside the script says what it does: its exit code, and for each USB port what the device's own log ends with.
RECORDER = """#!/usr/bin/env python3
import json, os, pathlib, sys
top = pathlib.Path.cwd()
with open(top / "calls.jsonl", "a") as file:
    file.write(json.dumps({"argv": [sys.argv[0], *sys.argv[1:]], "environment": dict(os.environ)}) + chr(10))
script = pathlib.Path(sys.argv[0]).name
if script == "apply_binaries.sh":
    (top / "rootfs/etc/nv_tegra_release").write_text((top / "release-line").read_text())
    (top / "rootfs/etc/systemd/system").mkdir(parents=True, exist_ok=True)
    target = top / "rootfs/etc/systemd/system/default.target"
    target.exists() or target.is_symlink() or target.symlink_to("nv-oem-config.target")
behaviour = json.loads((top / "behaviour.json").read_text()) if (top / "behaviour.json").exists() else {}
mine = behaviour.get(script + (" --no-flash" if "--no-flash" in sys.argv else ""), {})
print("working\\x1b[31m on it")
if "--flash-only" in sys.argv:
    for number, (port, words) in enumerate(mine.get("devices", {}).items()):
        (top / "initrdlog").mkdir(exist_ok=True)
        (top / f"initrdlog/flash_{port}_{number}_{behaviour.get('time', 'x')}.log").write_text("Step 3\\n" + words + "\\n")
if mine.get("says"):
    print(mine["says"])
sys.exit(mine.get("exit", 0))
"""


@dataclass(frozen=True, slots=True)
class FakeBsp:
    """path: the folder."""

    path: Path

    def behave(self, **scripts: object) -> None:
        """What the scripts do from now on; ``_`` in names of scripts stands for a dot."""
        (self.path / "behaviour.json").write_text(json.dumps(scripts))

    def calls(self) -> list[dict[str, object]]:
        """What was called, in order."""
        file = self.path / "calls.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def commands(self) -> list[list[str]]:
        """Their arguments alone."""
        return [list(one["argv"]) for one in self.calls()]  # type: ignore[call-overload]


def make_bsp(folder: Path, version: str = "36.4.3", *, applied: bool = False) -> FakeBsp:
    """A BSP of that version, with all boards' configurations and a root file system that is not applied yet."""
    branch, major, minor = version.split(".")
    line = f"# R{branch} (release), REVISION: {major}.{minor}, GCID: 1, BOARD: generic, EABI: aarch64\n"
    for name in (APPLY_BINARIES, FLASH, INITRD_FLASH):
        script = folder / name
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(RECORDER)
        script.chmod(0o755)
    for name in (NVME_T234, QSPI_T234):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("<partition_layout/>")
    for board in BOARDS:
        (folder / f"{board.name}.conf").write_text("source something\n")
    (folder / "nv_tegra").mkdir()
    (folder / "nv_tegra/bsp_version").write_text(f"BSP_BRANCH={branch}\nBSP_MAJOR={major}\nBSP_MINOR={minor}\n")
    (folder / "rootfs/etc").mkdir(parents=True)
    (folder / "release-line").write_text(line)
    if applied:
        (folder / "rootfs/etc/nv_tegra_release").write_text(line)
    return FakeBsp(folder)


def make_wheelhouse_names(folder: Path, python: str = "3.10") -> Path:
    """Files with the names of a wheelhouse; what is in them is none."""
    folder.mkdir(parents=True)
    tag = f"cp{python.replace('.', '')}"
    for name in ("edge_inspect-0.1.0-py3-none-any.whl", "pip-26.0-py3-none-any.whl",
                 f"numpy-1.26.4-{tag}-{tag}-manylinux2014_aarch64.whl",
                 "cryptography-46.0-cp39-abi3-manylinux_2_34_aarch64.whl", "pycuda-2026.1.tar.gz", "constraints.txt"):  # fmt: skip
        (folder / name).write_text(name)
    return folder


def plug_in(usb: Path, port: str, product: str = "7523", serial: str = "") -> None:
    """A device of NVIDIA's at a USB port, as the kernel lists it."""
    (usb / port).mkdir(parents=True)
    (usb / port / "idVendor").write_text("0955\n")
    (usb / port / "idProduct").write_text(product + "\n")
    if serial:
        (usb / port / "serial").write_text(serial + "\n")
