"""What a process has in RAM, now and at most."""

from __future__ import annotations

import os
from pathlib import Path


def peak_memory_mb() -> float:
    """Of this process, in 2²⁰ bytes; since its start, not its parent's, whose share getrusage keeps across fork and exec."""
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status has no VmHWM; expected a Linux kernel with memory accounting")


def resident_memory_mb() -> float:
    """What this process has in RAM now, in 2²⁰ bytes."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
