"""Waiting for an order to stop the line to be on the disk."""

from __future__ import annotations

import threading
from pathlib import Path

from edge.supervision.stop_order import FILE
from tests.until import until


def until_kept(state: Path) -> None:
    """There is one, and none is still being written."""
    until((state / FILE).exists)
    until(lambda: "stop order" not in {thread.name for thread in threading.enumerate()})
