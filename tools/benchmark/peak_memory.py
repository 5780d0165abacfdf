"""The most memory a process ever had in RAM."""

from __future__ import annotations

from pathlib import Path


def peak_memory_mb() -> float:
    """Of this process, in 2²⁰ bytes; since its start, not its parent's, whose share getrusage keeps across fork and exec."""
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status has no VmHWM; expected a Linux kernel with memory accounting")
