"""Waiting for what another thread or process brings about, and no longer than it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], told: Callable[[], Any] | str = "it did not come about", seconds: float = 60) -> Any:
    """The first value of ``condition`` that counts as true; fails with ``told``, asked then, where none came within ``seconds``."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, told() if callable(told) else told
        time.sleep(0.01)
    return found
