"""edge-inspect challenge: the next part is the challenge part, a known bad one that must be rejected."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing

from rich.console import Console

from edge.clock import SystemClock
from edge.console.exit_code import reported
from edge.console.flags import add_bundle_flags, add_operator_flag
from edge.errors import EXIT_FAILED, NotRunningError
from edge.live.live_reader import LiveReader
from edge.storage.locations import bundle_path, state_path
from edge.supervision.challenge_announcement import ChallengeAnnouncement


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser("edge-inspect challenge", description=__doc__)
    add_bundle_flags(parser)
    add_operator_flag(parser)
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    with reported("edge-inspect challenge", console) as outcome:
        state = state_path(options.state, bundle_path(options.bundle))
        clock = SystemClock()
        ChallengeAnnouncement(state).announce(options.operator, clock)
        with closing(LiveReader(state, clock)) as reader:
            try:
                reader.status()
            except NotRunningError as error:  # told, not refused: the announcement needs no more than the folder
                console.print(f"announced, but {error}; one that starts later does not count it", style="yellow", markup=False,
                              highlight=False, soft_wrap=True)  # fmt: skip
                outcome.code = EXIT_FAILED
            else:
                console.print("announced: present the challenge part now, and nothing before it", markup=False, soft_wrap=True)
    return outcome.code


if __name__ == "__main__":
    sys.exit(main())
