"""Where CUDA and TensorRT come from: the bare BSP carries neither, so a plan must say it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.errors import FlashError
from edge.jetpack_releases import JetPackRelease

NEEDED = ("libnvinfer", "python3-libnvinfer", "cuda-")
COMPILER = ("python3-dev", "g++")
"""What PyCUDA is built with at first boot; NVIDIA's sample root may have it, a smaller one has not."""
_DEB = re.compile(r"(?P<name>[^_]+)_(?P<version>[^_]+)_(?P<arch>arm64|all)\.deb")


@dataclass(frozen=True, slots=True)
class JetPackSource:
    """debs: packages that lie here and go onto the device; apt: fetched by the device at first boot; installed: there already."""

    kind: Literal["debs", "apt", "installed"]
    debs: tuple[Path, ...] = ()

    @property
    def words(self) -> str:
        """For people."""
        if self.kind == "debs":
            words = f"{len(self.debs)} packages go onto the device and are installed at its first boot, without a network"
            missing = [name for name in COMPILER if not any(one.name.startswith(f"{name}_") for one in self.debs)]
            return f"{words}; {' and '.join(missing)}, not among them, must be in its root already" if missing else words
        if self.kind == "apt":
            return "the device fetches nvidia-jetpack by its own apt at its first boot: it needs internet then"
        return "it is on the device already"


def jetpack_source(debs: Path | None, kind: str | None, release: JetPackRelease) -> JetPackSource:
    """As the flags say; raises FlashError where nothing is said, or the packages are not those of ``release``."""
    if debs is None and kind is None:
        raise FlashError(
            "the bare BSP carries neither CUDA nor TensorRT; say where they come from: --jetpack-debs DIR (no internet there) "
            "or --jetpack apt (the device fetches them at its first boot)"
        )
    if debs is None:
        return JetPackSource("apt" if kind == "apt" else "installed")
    if kind is not None:
        raise FlashError(f"--jetpack-debs and --jetpack {kind} contradict each other; give one of them")
    found = {one: match for one in sorted(debs.glob("*.deb")) if (match := _DEB.fullmatch(one.name))} if debs.is_dir() else {}
    names = [match["name"] for match in found.values()]
    for wanted in NEEDED:
        if not any(name.startswith(wanted) for name in names):
            raise FlashError(
                f"--jetpack-debs {debs}: has no {wanted}*_arm64.deb; fetch the nvidia-jetpack of {release.name} into it"
            )
    for match in found.values():
        if re.match(r"(python3-)?libnvinfer\d*$", match["name"]) and not release.has_tensorrt(match["version"]):
            raise FlashError(
                f"--jetpack-debs {debs}: TensorRT {match['version']} is not that of {release.name}, which is "
                f"{' or '.join(release.tensorrt)}; take the packages of that release"
            )
    return JetPackSource("debs", tuple(found))
