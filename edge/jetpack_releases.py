"""NVIDIA's releases: which L4T is which JetPack, with which TensorRT and Python, on which boards. One table for all tools.

Source of the facts: NVIDIA's release notes. L4T is written R<branch> (release), REVISION: <major>.<minor> in /etc/nv_tegra_release.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from edge.errors import ConfigError

Family = Literal["orin", "thor"]


@dataclass(frozen=True, slots=True)
class JetPackRelease:
    """What the releases L4T ``branch``.``major`` bring. tensorrt, python: the first numbers of their versions."""

    branch: int
    major: int
    jetpack: str
    ubuntu: str
    python: str
    cuda: str
    tensorrt: tuple[str, ...]
    families: tuple[Family, ...]

    @property
    def name(self) -> str:
        """For people."""
        return f"R{self.branch}.{self.major} (JetPack {self.jetpack})"

    def has_tensorrt(self, version: str) -> bool:
        """True where ``version``, such as 10.3.0.30-1+cuda12.5, is this release's."""
        return any(re.match(rf"{re.escape(one)}(?!\d)", version) for one in self.tensorrt)


RELEASES = (
    JetPackRelease(36, 4, "6.1/6.2", "22.04", "3.10", "12.6", ("10.3",), ("orin",)),
    JetPackRelease(36, 5, "6.2.x", "22.04", "3.10", "12.6", ("10.3",), ("orin",)),
    JetPackRelease(38, 2, "7.0", "24.04", "3.12", "13.0", ("10.13",), ("thor",)),
    JetPackRelease(38, 4, "7.1", "24.04", "3.12", "13.0", ("10.13",), ("thor",)),
    JetPackRelease(39, 2, "7.2", "24.04", "3.12", "13.2", ("10.16", "11.4"), ("orin", "thor")),
)
_RELEASE_LINE = re.compile(r"#\s*R(\d+)\s*\(release\),\s*REVISION:\s*(\d+)")


def parse_l4t_release(text: str) -> tuple[int, int] | None:
    """(branch, major) of the first line of /etc/nv_tegra_release; None where it is none."""
    found = _RELEASE_LINE.match(text.strip())
    return (int(found[1]), int(found[2])) if found else None


def find_release(branch: int, major: int) -> JetPackRelease:
    """The release; raises ConfigError for one that this program does not know to work, in words that say why."""
    for one in RELEASES:
        if (one.branch, one.major) == (branch, major):
            return one
    known = ", ".join(f"R{one.branch}.{one.major}" for one in RELEASES)
    if (branch, major) < (36, 4):
        why = "is too old: TensorRT 10.3 is the oldest that is supported, and JetPack 6.1 (R36.4) the first that has it"
    else:
        why = "is not known"
    raise ConfigError(f"L4T R{branch}.{major} {why}; use one of {known}")
