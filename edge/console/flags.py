"""Command-line flags that several commands share, so that they mean and say the same everywhere."""

from __future__ import annotations

import argparse
import getpass
import os
from pathlib import Path

MOST_THREADS = 256


def add_engine_flags(parser: argparse.ArgumentParser) -> None:
    """``bundle``, ``state``, ``station``, ``precision``, ``engine``, …: which model runs, for which place, how."""
    add_bundle_flags(parser)
    add_station_flag(parser)
    parser.add_argument("--precision", default="fp32", help="model file of the bundle to run (default: %(default)s)")
    parser.add_argument(
        "--engine",
        choices=("auto", "onnxruntime", "tensorrt"),
        default="auto",
        help="what runs it; auto is TensorRT where it is installed, else ONNX Runtime (default: %(default)s)",
    )
    add_running_flags(parser)


def add_running_flags(parser: argparse.ArgumentParser) -> None:
    """``image_memory``, ``threads``: how an engine runs, whichever it is."""
    parser.add_argument(
        "--image-memory",
        choices=("copied", "mapped"),
        default="copied",
        help="TensorRT: copy image and scores, or let the GPU use the CPU's memory; measure on a Jetson (default: %(default)s)",
    )
    parser.add_argument(
        "--threads", type=whole_number(0, MOST_THREADS), default=0, help="CPU threads of the engine (default: the runtime's choice)"
    )


def add_bundle_flags(parser: argparse.ArgumentParser) -> None:
    """``bundle``, ``state``: which model, and where its calibrations are."""
    parser.add_argument("--bundle", type=Path, help="model bundle; default: EDGE_INSPECT_BUNDLE, /var/lib/edge-inspect/bundle")
    parser.add_argument(
        "--state",
        type=Path,
        help="where calibrations are kept; default: EDGE_INSPECT_STATE, the device's own, or beside the bundle",
    )


def add_operator_flag(parser: argparse.ArgumentParser) -> None:
    """``operator``: who does it."""
    parser.add_argument("--operator", default=_user(), help="who does it, for the record (default: %(default)s)")


def _user() -> str:
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()  # who it is, not whom they act as
    except (KeyError, OSError):  # a service account without a name
        return "unknown"


def add_station_flag(parser: argparse.ArgumentParser) -> None:
    """``station``: for which place."""
    parser.add_argument("--station", type=Path, help="station file; default: EDGE_INSPECT_STATION, /etc/edge-inspect/station.yaml")


class whole_number:  # noqa: N801 - reads as a function where it is used, and argparse wants one with a name
    """A type for argparse: a whole number from ``low`` to ``high``."""

    def __init__(self, low: int, high: int = 2**31) -> None:
        self._low, self._high = low, high

    def __call__(self, text: str) -> int:
        if not text.isdecimal() or not self._low <= int(text) <= self._high:
            raise argparse.ArgumentTypeError(f"expected a whole number from {self._low} to {self._high}, got {text!r}")
        return int(text)
