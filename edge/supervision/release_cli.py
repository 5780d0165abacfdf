"""edge-inspect release: a line that was stopped may run again, since somebody has looked for the part."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from edge.clock import SystemClock
from edge.console.exit_code import reported
from edge.console.flags import add_bundle_flags, add_operator_flag
from edge.errors import EXIT_FAILED
from edge.records.audit_log import FOLDER, AuditTrail
from edge.storage.locations import bundle_path, state_path
from edge.supervision.stop_order import StopOrder


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code, 1 where no line stands."""
    parser = argparse.ArgumentParser("edge-inspect release", description=__doc__)
    add_bundle_flags(parser)
    add_operator_flag(parser)
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    with reported("edge-inspect release", console) as outcome:
        state = state_path(options.state, bundle_path(options.bundle))
        order = StopOrder(state, lambda _: None)
        if reason := order.standing():
            # Who it was is written first: where that cannot be kept, the line stands on.
            by = {"reason": reason, "operator": options.operator}
            AuditTrail(state / FOLDER).append(SystemClock().wall_ns(), "line released", by)
            order.release()
            said = f"released: {reason}. A running inspection tests itself and goes on; one that is not running can be started"
        else:
            outcome.code = EXIT_FAILED
            said = f"no stopped line is known in {state}; an order that could not be kept ends when edge-inspect is started anew"
        console.print(said, markup=False, highlight=False, soft_wrap=True)
    return outcome.code


if __name__ == "__main__":
    sys.exit(main())
