"""A thread that comes before all others, where the system permits it (systemd: LimitRTPRIO)."""

from __future__ import annotations

import os
from contextlib import suppress

PRIORITY = 20
"""Of SCHED_FIFO, 1 to 99: before every ordinary thread, behind the kernel's own (50 for interrupts)."""


def prefer_this_thread() -> bool:
    """Schedule the calling thread with SCHED_FIFO; False where that is not permitted, and then nothing has changed."""
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))  # 0: this thread, on Linux
        return True
    return False
