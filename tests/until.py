"""Waiting for what another thread or process brings about, and no longer than it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], what: str = "", seconds: float = 60) -> Any:
    """The first value of ``condition`` that counts as true; fails with ``what`` where none came within ``seconds``."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, what or "it did not come about"
        time.sleep(0.01)
    return found
