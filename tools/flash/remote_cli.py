"""provision, update and verify: the part of edge-flash that talks to a device over SSH."""

from __future__ import annotations

import argparse
from typing import Any


def add_remote_commands(commands: Any) -> None:
    """To edge-flash's commands."""
    assert isinstance(commands, argparse.Action)
