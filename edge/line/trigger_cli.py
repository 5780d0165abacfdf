"""edge-inspect trigger: tell a running edge-inspect that a part is there (`trigger: {kind: software}`)."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from edge.clock import SystemClock
from edge.console.exit_code import reported
from edge.console.flags import add_bundle_flags, whole_number
from edge.storage.locations import bundle_path, state_path
from edge.supervision.stop_signals import StopSignals
from edge.triggers.software import SOCKET, TriggerSender


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    with reported("edge-inspect trigger", console) as outcome, StopSignals() as signals:
        _send(options, signals)
    return outcome.code


def _send(options: argparse.Namespace, signals: StopSignals) -> None:
    clock = SystemClock()
    sender = TriggerSender(state_path(options.state, bundle_path(options.bundle)) / SOCKET)
    try:
        due = clock.monotonic_ns()
        for index in range(options.count):
            if index and clock.wait(signals.stop, due - clock.monotonic_ns()):
                raise KeyboardInterrupt
            sender.send()
            due += options.every_ms * 1_000_000
    finally:
        sender.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("edge-inspect trigger", description=__doc__)
    add_bundle_flags(parser)
    parser.add_argument("--count", type=whole_number(1, 1_000_000), default=1, help="so many parts (default: %(default)s)")
    parser.add_argument(
        "--every-ms", type=whole_number(1, 3_600_000), default=1000, help="so far apart, milliseconds (default: %(default)s)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
