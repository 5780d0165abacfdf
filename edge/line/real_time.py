"""A thread that comes before all others, where the system permits it (systemd: LimitRTPRIO)."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

PRIORITY = 20
"""Of SCHED_FIFO, 1 to 99: before every ordinary thread, behind the kernel's own (50 for interrupts)."""


SWITCH_S = 0.0005
"""So long a thread may hold the interpreter while another waits for it. The system's priorities do not know of that lock, and the
interpreter's own 5 ms are longer than a line may be late."""


def prefer_this_thread() -> bool:
    """Schedule the calling thread with SCHED_FIFO; False where that is not permitted. It waits less for the interpreter anyway."""
    sys.setswitchinterval(min(SWITCH_S, sys.getswitchinterval()))
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))  # 0: this thread, on Linux
        return True
    return False
